import { setTimeout as sleep } from 'node:timers/promises';
import { failure, isDeployError } from '../../core/errors.ts';
import { exchange, type Socket, shownTarget, within } from './haproxy-socket.ts';
import { shown } from './haproxy-table.ts';
import { type InFlight, inFlightIn } from './haproxy-wire.ts';

/**
 * What is in flight in all workers but the one that has this process id: after a reload, old ones answer what they have
 * and then end. Rejects with `BALANCER_UNREACHABLE` if the master does not say, or a worker that runs does not.
 */
export type AskOthers = (worker: number, signal?: AbortSignal) => Promise<readonly InFlight[]>;

/** Through the socket of the master (management guide, 9.4). */
export const othersThrough =
  (socket: Socket): AskOthers =>
  (worker, signal) =>
    within(socket, signal, async (ended) => {
      const ask = (line: string) => exchange(socket, line, ended, 'nothing follows');
      const others = workersIn(await ask('show proc')).filter((pid) => pid !== worker);
      const found: InFlight[] = [];
      for (const pid of others) found.push(...(await inFlightOf(pid, ask, ended)));
      return found;
    }).catch((error: unknown) => {
      if (!isDeployError(error, 'BALANCER_UNREACHABLE')) throw error;
      const reason = `its master at ${shownTarget(socket.to)} could not be asked: ${error.details.reason}`;
      const { balancer, to } = socket;
      throw failure('BALANCER_UNREACHABLE', { balancer, address: shownTarget(to), reason }, error);
    });

/**
 * The process ids of all workers, old ones too. Which of them are old, the master knows for sure only when a reload is
 * over. Throws if this is not what `show proc` answers.
 */
export function workersIn(processes: string): readonly number[] {
  const [, ...sections] = processes.split(/^# (?=[a-z])/m);
  const of = sections.filter((section) => /^(old )?workers\n/.test(section));
  if (!processes.startsWith('#<PID>') || of.length === 0)
    throw new Error(`"show proc" does not list workers: ${shown(processes)}`);
  return of.flatMap((section) => [...section.matchAll(/^(\d+)\s/gm)].map(([, pid]) => Number(pid)));
}

/** A worker may end at any time, and then it has nothing any more. */
async function inFlightOf(
  pid: number,
  ask: (line: string) => Promise<string>,
  ended: AbortSignal,
): Promise<readonly InFlight[]> {
  for (;;) {
    const answer = await ask(`@!${pid} show stat -1 4 -1`);
    if (answer.endsWith('\n\n')) return inFlightIn(answer.trimEnd());
    if (!workersIn(await ask('show proc')).includes(pid)) return [];
    await sleep(20, undefined, { signal: ended });
  }
}
