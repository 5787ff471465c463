import { type DeployError, isDeployError } from '../core/errors.ts';
import { type LockHolder, lifeOf, lockHolder } from '../core/lock-holder.ts';
import type { LockState } from '../core/observation.ts';
import type { Ports } from '../ports.ts';
import { observe } from './observe.ts';
import type { RunRequest } from './propose.ts';
import { emit, expected, interruption } from './run.ts';

type Waiting = Pick<RunRequest, 'site' | 'signal' | 'lockWaitMs'>;

/**
 * Waits until no run that lives holds the lock, for `lockWaitMs` at most, and says for whom. Returns who holds it then;
 * null: nobody. Throws `INTERRUPTED`.
 */
export async function onceFree(request: Waiting, ports: Ports): Promise<LockHolder | null> {
  const { site, signal, lockWaitMs = 0 } = request;
  const deadlineMs = ports.clock.nowMs() + lockWaitMs;
  let saidMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const observed = await observe(site, ports, signal).catch((error: unknown) => {
      throw expected(signal, error);
    });
    const holder = lockHolder(observed);
    const nowMs = ports.clock.nowMs();
    if (holder?.life !== 'alive' || nowMs >= deadlineMs) return holder;
    if (nowMs - saidMs >= saysEveryMs) {
      saidMs = nowMs;
      emit(ports, { type: 'note', level: 'info', text: waitingText(holder.lock, deadlineMs - nowMs) });
    }
    await ports.clock.sleep(Math.min(looksEveryMs, deadlineMs - nowMs), signal);
    if (signal.aborted) throw interruption(signal);
  }
}

const looksEveryMs = 5000;
const saysEveryMs = 60_000;

const waitingText = ({ holder, host, reason, startedAt }: LockState, leftMs: number): string =>
  `waits for ${holder} (from ${host}) to end: ${reason}, since ${startedAt}; for ${Math.ceil(leftMs / 1000)} s more at most`;

/**
 * Does `work` once no run that lives holds the lock, and again from the start if another one came first: for `lockWaitMs` from
 * now. Rejects as `work` does once the time is up, and at once if what is in the way does not pass by itself.
 */
export async function whenFree<R>(request: Waiting, ports: Ports, work: () => Promise<R>): Promise<R> {
  const { lockWaitMs = 0, signal } = request;
  const deadlineMs = ports.clock.nowMs() + lockWaitMs;
  const leftMs = (): number => Math.max(0, deadlineMs - ports.clock.nowMs());
  for (;;) {
    // Before it is asked where to go: of a site that another run is changing that cannot be said.
    if (leftMs() > 0) await onceFree({ ...request, lockWaitMs: leftMs() }, ports);
    try {
      return await work();
    } catch (error) {
      if (!mayPass(error) || leftMs() === 0) throw error;
      // A command that is still under way holds no lock.
      if (error.code === 'NODE_BUSY') await ports.clock.sleep(Math.min(looksEveryMs, leftMs()), signal);
    }
  }
}

/** Another run is in the way, and will not be for ever. */
function mayPass(error: unknown): error is DeployError {
  if (!isDeployError(error, 'LOCKED', 'HOLDER_ALIVE', 'LOCK_RACE', 'NODE_BUSY')) return false;
  // The catalogue says that the rows with a lock have it whole.
  const lock = error.details.lock as LockState | undefined;
  return lock === undefined || lifeOf(lock) === 'alive';
}
