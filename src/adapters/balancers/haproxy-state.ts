import { writeServerState } from '../../commands/server-state.ts';
import type { BalancerName } from '../../core/site.ts';
import { type Place, runAt } from './haproxy-place.ts';
import { rowsOf, shown } from './haproxy-table.ts';

/** Writes down what servers were told, from the answer to `show servers state`. Rejects as `runAt` does. */
export type KeepState = (states: string, signal?: AbortSignal) => Promise<void>;

/** The file that HAProxy reads when it starts anew (configuration manual, 3.1, `server-state-file`). */
export const keepStateIn =
  (file: string, place: Place, balancer: BalancerName): KeepState =>
  (states, signal) => {
    const bytes = new TextEncoder().encode(toldState(states));
    const stdin = async function* () {
      yield bytes;
    };
    return runAt(place, balancer, writeServerState(file), { stdin, ...(signal ? { signal } : {}) });
  };

/**
 * Of the answer to `show servers state`, the servers that were told anything: another rotation or weight than the
 * configuration has. A server that does not stand in the file starts as it is configured; one that does has the port of
 * its row, whatever the configuration says by then, and health as it was. HAProxy drops a file whose last line has no end.
 */
export function toldState(answer: string): string {
  const [version, header = '', ...lines] = answer.split('\n');
  if (version !== '1') throw new Error(`"show servers state" has an unknown format: ${shown(answer)}`);
  const cells = rowsOf([header, ...lines], (line) => line.split(' '));
  const told = lines.filter((_, i) => {
    const cell = cells[i]!;
    return cell('srv_admin_state') !== '0' || cell('srv_uweight') !== cell('srv_iweight');
  });
  return [version, header, ...told, ''].join('\n');
}
