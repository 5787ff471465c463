import type { Server } from '../balancer.ts';
import { isRun, reportOf } from '../session.ts';
import type { Checker } from './checker.ts';

/** A run that says that all is well, or as it was, leaves no server with a part of its weight that a run gave it. */
export const weightsWhole: Checker = {
  name: 'weights-whole',
  watch() {
    const lowered = new Set<Server>();
    return (event) => {
      if (event.kind === 'weight' && isRun(event.by)) lowered.add(event.server);
      if (event.kind !== 'ended') return null;
      const { session } = event;
      const report = reportOf(session);
      if (!report || ![0, 1].includes(report.exit) || session.effects === 0) return null;
      const left = [...lowered].filter(({ weight, isHeld }) => weight < 100 && !isHeld);
      if (left.length === 0) return null;
      const all = left.map(({ id, weight }) => `${id} (${weight} %)`);
      return `${session.name} ended (${report.outcome}) and left ${all.join(', ')}`;
    };
  },
};
