import { lockStaleMs } from './errors.ts';
import { type LockState, locksIn, type Observation } from './observation.ts';

/** Whoever is in the way of a run. */
export interface LockHolder {
  readonly lock: LockState;
  /** `held`: it waits for a person. `dead`: it was silent for longer than a run that lives is. */
  readonly life: 'alive' | 'held' | 'dead';
}

/** Of several locks the one whose run showed last that it lives; null: no node is locked. */
export function lockHolder(observed: Observation): LockHolder | null {
  const locks = locksIn(observed).map(({ lock }) => lock);
  const [lock] = locks.toSorted((a, b) => a.silentMs - b.silentMs);
  if (!lock) return null;
  // A node that did not hear of it has the lock of a run that is held all the same.
  return { lock, life: locks.some(({ held }) => held) ? 'held' : lifeOf(lock) };
}

export const lifeOf = ({ held, silentMs }: LockState): LockHolder['life'] =>
  held ? 'held' : silentMs <= lockStaleMs ? 'alive' : 'dead';
