import type { Session } from '../session.ts';
import type { Checker } from './checker.ts';

/** Once another run has begun to change nodes, a run changes none any more: two are never at it. */
export const singleLock: Checker = {
  name: 'single-lock',
  watch() {
    const superseded = new Set<Session>();
    let last: Session | null = null;
    return (event) => {
      if (event.kind !== 'effect') return null;
      const { by } = event;
      if (superseded.has(by)) return `${by.name} changed ${event.node.name} after ${last?.name} had begun`;
      if (last !== null && last !== by) superseded.add(last);
      last = by;
      return null;
    };
  },
};
