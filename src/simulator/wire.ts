import type { Session } from './session.ts';
import type { World } from './world.ts';

/** Between one call of the engine and the world. */
export interface Wire {
  readonly world: World;
  readonly session: Session;
}

export interface Question {
  /** For the trace. */
  readonly text: string;
  readonly signal: AbortSignal | undefined;
  /** What the caller gets who no longer waits. */
  readonly onAbort: (signal: AbortSignal) => unknown;
  /** What the caller gets once this time is over; null: it waits for as long as it takes. */
  readonly timeout: { readonly ms: number; readonly error: () => unknown } | null;
}

/** How a question ends: after `ms`, and only the first counts. `heard` comes just before whoever asked goes on. */
export interface Reply<T> {
  ok(value: T, ms: number, heard?: () => void): void;
  fail(error: () => unknown, ms: number): void;
}

/**
 * One call of a port: `ask` sends the question. The engine may die here, before the question is out or with the
 * answer on its way; and it may be interrupted here. No answer ever reaches a dead process.
 */
export function exchange<T>(
  { world, session }: Wire,
  { text, signal, onAbort, timeout }: Question,
  ask: (reply: Reply<T>) => void,
): Promise<T> {
  const { clock } = world;
  const number = session.calls.push(text);
  const { death, signal: interrupt } = session.doom;
  return new Promise((resolve, reject) => {
    if (session.isDead) return;
    world.tell({ kind: 'call', session, text });
    const dies = death?.atCall === number;
    if (dies && !death.isSent) {
      die(world, session);
      return;
    }
    if (signal?.aborted) {
      reject(onAbort(signal));
      return;
    }
    let isOver = false;
    const settle = (how: () => void): void => {
      if (isOver) return;
      isOver = true;
      signal?.removeEventListener('abort', leave);
      giveUp();
      if (!session.isDead) how();
    };
    const leave = (): void => {
      clock.woken();
      settle(() => reject(onAbort(signal!)));
    };
    signal?.addEventListener('abort', leave, { once: true });
    const giveUp =
      timeout === null
        ? () => {}
        : clock.wakeAfter(timeout.ms, () =>
            whenAwake({ world, session }, () => settle(() => reject(timeout.error()))),
          );
    const arrive = (ms: number, how: () => void): void => {
      clock.wakeAfter(ms, () => whenAwake({ world, session }, () => settle(how)));
    };
    ask({
      ok: (value, ms, heard) =>
        arrive(ms, () => {
          heard?.();
          resolve(value);
        }),
      fail: (error, ms) => arrive(ms, () => reject(error())),
    });
    if (dies) die(world, session);
    if (interrupt?.atCall === number) clock.wakeAfter(1, () => stop(world, session, interrupt.name));
  });
}

/** Now, or once the process goes on. */
export function whenAwake(wire: Wire, work: () => void): void {
  const { clock } = wire.world;
  const leftMs = wire.session.frozenUntilMs - clock.passedMs();
  if (leftMs <= 0) work();
  else clock.wakeAfter(leftMs, () => whenAwake(wire, work));
}

/** The process is gone: what it sent is on its way, and nothing more of it happens. */
export function die(world: World, session: Session): void {
  if (session.isDead || session.end !== null) return;
  session.isDead = true;
  world.faults.strike('kill');
  world.tell({ kind: 'died', session });
}

/** Ctrl-C, or the end of a CI job. */
export function stop(world: World, session: Session, name: 'SIGINT' | 'SIGTERM'): void {
  if (session.isDead || session.end !== null) return;
  world.faults.strike(name);
  world.tell({ kind: 'fault', node: null, what: `${name} to ${session.name}` });
  session.stop.abort(name);
  world.clock.woken();
}

/** From here to there. */
export const latencyMs = ({ random }: World): number =>
  random.chance(0.9) ? random.integer({ min: 1, max: 15 }) : random.integer({ min: 15, max: 120 });
