import { isRun } from '../session.ts';
import type { Checker } from './checker.ts';
import { lookHoldsMs } from './floor.ts';

/**
 * Once another run has begun to change nodes, a run changes none any more, and soon tells no balancer anything: two are
 * never at it. Balancers know no fence, so what was on its way to them still arrives.
 */
export const singleLock: Checker = {
  name: 'single-lock',
  watch(world) {
    // By the number of its lock: a command may be several runs, one after the other.
    const supersededAtMs = new Map<string, number>();
    let last: string | null = null;
    return (event) => {
      if (event.kind !== 'effect' && event.kind !== 'rotation') return null;
      const { by, kind } = event;
      if (!isRun(by)) return null;
      const nowMs = world.clock.passedMs();
      const run = by.run ?? by.name;
      const sinceMs = supersededAtMs.get(run) ?? nowMs;
      // Whoever ends writes it down where the lock is still its own, and gives it back.
      if (supersededAtMs.has(run) && kind === 'effect' && event.what === 'log') return null;
      const isOnItsWay = kind === 'rotation' && nowMs - sinceMs <= lookHoldsMs;
      if (supersededAtMs.has(run) && !isOnItsWay)
        return `${by.name} changed ${kind === 'rotation' ? event.server.id : event.node.name} after ${last} had begun`;
      if (kind === 'rotation' || last === run) return null;
      if (last !== null) supersededAtMs.set(last, nowMs);
      last = run;
      return null;
    };
  },
};
