import { isRun, type Session } from '../session.ts';
import type { Checker } from './checker.ts';
import { lookHoldsMs } from './floor.ts';

/**
 * Once another run has begun to change nodes, a run changes none any more, and soon tells no balancer anything: two are
 * never at it. Balancers know no fence, so what was on its way to them still arrives.
 */
export const singleLock: Checker = {
  name: 'single-lock',
  watch(world) {
    const supersededAtMs = new Map<Session, number>();
    let last: Session | null = null;
    return (event) => {
      if (event.kind !== 'effect' && event.kind !== 'rotation') return null;
      const { by, kind } = event;
      if (!isRun(by)) return null;
      const nowMs = world.clock.passedMs();
      const sinceMs = supersededAtMs.get(by) ?? nowMs;
      // Whoever ends writes it down where the lock is still its own, and gives it back.
      if (supersededAtMs.has(by) && kind === 'effect' && event.what === 'log') return null;
      const isOnItsWay = kind === 'rotation' && nowMs - sinceMs <= lookHoldsMs;
      if (supersededAtMs.has(by) && !isOnItsWay)
        return `${by.name} changed ${kind === 'rotation' ? event.server.id : event.node.name} after ${last?.name} had begun`;
      if (kind === 'rotation' || last === by) return null;
      if (last !== null) supersededAtMs.set(last, nowMs);
      last = by;
      return null;
    };
  },
};
