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
    within(socket, signal, (ended) =>
      patiently(ended, async () => {
        const timeoutMs = Math.ceil(socket.timeoutMs / triesForAnswer);
        const ask = (line: string) => {
          const limit = AbortSignal.any([ended, AbortSignal.timeout(timeoutMs)]);
          return exchange(socket, line, limit, 'nothing follows');
        };
        const others = workersIn(await ask('show proc')).filter((pid) => pid !== worker);
        const found: InFlight[] = [];
        for (const pid of others) found.push(...workerInFlight(await ask(`@!${pid} show stat -1 4 -1`)));
        return found;
      }),
    ).catch((error: unknown) => {
      if (!isDeployError(error, 'BALANCER_UNREACHABLE')) throw error;
      const { balancer, to } = socket;
      const address = shownTarget(to);
      const reason = `its master at ${address} could not be asked: ${error.details.reason}`;
      throw failure('BALANCER_UNREACHABLE', { balancer, address, reason }, error);
    });

/**
 * Does it again for a while: a master that reloads does not listen for a moment, a worker may end before it has
 * answered, and is then listed no longer, and a question that HAProxy 3 took then may stay without any answer.
 */
async function patiently<T>(ended: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (ended.aborted || attempt === attemptsMax) throw error;
    }
    await sleep(pauseMs, undefined, { signal: ended });
  }
}

const [attemptsMax, pauseMs] = [20, 50];
const triesForAnswer = 3;

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

/** An answer ends with an empty line: without it, the worker or the master is gone. */
function workerInFlight(answer: string): readonly InFlight[] {
  if (!answer.endsWith('\n\n')) throw new Error(`a worker broke off: ${shown(answer)}`);
  return inFlightIn(answer.trimEnd());
}
