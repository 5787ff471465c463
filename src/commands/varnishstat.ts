import type { NodeCommand } from '../core/command.ts';
import { isPlainObject } from '../core/field.ts';
import { words } from './shell.ts';

/**
 * The connections that each backend of each VCL has in use now, by the counter's name: `VBE.boot.web1.conn`. A Varnish
 * that does not run is waited for a second.
 */
export const backendConnections = (
  instance: string | null,
  timeoutMs: number,
): NodeCommand<ReadonlyMap<string, number>> => ({
  name: 'varnishstat',
  params: { instance },
  summary: 'varnishstat',
  script: words(
    ...['varnishstat', '-1', '-j', '-t', '1', '-f', 'VBE.*.conn'],
    ...(instance === null ? [] : ['-n', instance]),
  ),
  parse: countersIn,
  timeoutMs,
});

/** varnishstat(1), `-j`: an object of counters by name, each with its `value`. */
function countersIn(stdout: string): ReadonlyMap<string, number> {
  const answer: unknown = JSON.parse(stdout);
  if (!isPlainObject(answer) || !isPlainObject(answer.counters))
    throw new Error('there are no counters in it');
  return new Map(
    Object.entries(answer.counters).map(([name, counter]) => {
      if (!isPlainObject(counter) || !Number.isInteger(counter.value))
        throw new Error(`${name} is no number`);
      return [name, Number(counter.value)];
    }),
  );
}
