import type { SimulatedNode } from '../node.ts';
import type { Session } from '../session.ts';
import { reportOf } from '../session.ts';
import { workersOf } from '../workers.ts';
import type { Checker } from './checker.ts';

/**
 * No job of a worker is cut, unless the settings say so; none comes up in a release that is not live; and where a run is
 * done, those of the nodes that it changed run what it brought, or it says why not.
 */
export const workersWhole: Checker = {
  name: 'workers-whole',
  watch(world) {
    const workers = workersOf(world.site);
    const changed = new Map<Session, Set<SimulatedNode>>();
    return (event) => {
      if (workers === null) return null;
      if (event.kind === 'switched')
        changed.set(event.by, (changed.get(event.by) ?? new Set()).add(event.node));
      if (event.kind === 'ended') return leftBehind(event.session, changed.get(event.session) ?? new Set());
      if (event.kind !== 'worker') return null;
      const { name, worker, disk } = event.node;
      if (event.state === 'is cut')
        return workers.kill === null ? `the job of a worker on ${name} was cut` : null;
      const isLive =
        worker.release === disk.current && (worker.release === null || disk.releases.has(worker.release));
      return isLive ? null : `a worker on ${name} came up in ${worker.release}, and ${disk.current} is live`;
    };
  },
};

function leftBehind(session: Session, changed: ReadonlySet<SimulatedNode>): string | null {
  const report = reportOf(session);
  if (report?.outcome !== 'done') return null;
  const astray = [...changed].find(
    ({ name, isUp, worker, disk }) =>
      isUp &&
      !session.leftOut.has(name) &&
      worker.release !== disk.current &&
      !report.warnings.some((text) => text.startsWith(`Hook workers (after:activate) failed on ${name}:`)),
  );
  return astray
    ? `${session.name} is done, and the worker on ${astray.name} runs ${astray.worker.release} instead of ${astray.disk.current}`
    : null;
}
