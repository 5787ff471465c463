import type { NodeCommand } from '../core/command.ts';
import { type Fence, fenced } from './fenced.ts';
import { layout } from './layout.ts';
import { words } from './shell.ts';

/**
 * Writes down what the fence carries, and which servers of the node this run has out of rotation from now on
 * (`drained`; null: as they were). It goes before what happens elsewhere, at a balancer.
 */
export const note = (fence: Fence, drained: readonly string[] | null): NodeCommand<void> => ({
  name: 'note',
  params: { ...fence, drained },
  summary: 'write the journal',
  script: fenced(fence, drained === null ? ':' : drainedScript(drained)),
  parse: () => undefined,
  timeoutMs: 30_000,
});

const drainedScript = (servers: readonly string[]): string =>
  servers.length === 0
    ? `rm -f ${layout.drained}`
    : [
        `trap 'rm -f ${layout.drained}.new' EXIT`,
        `${words('printf', '%s\\n', ...servers)} > ${layout.drained}.new`,
        `mv -f ${layout.drained}.new ${layout.drained}`,
      ].join('\n');
