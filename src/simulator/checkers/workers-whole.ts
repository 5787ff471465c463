import type { Session } from '../session.ts';
import { reportOf } from '../session.ts';
import { workersOf } from '../workers.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * No job of a worker is cut, unless the settings say so; none comes up in a release that is not live; and where a run is
 * done, those of its nodes run what it brought.
 */
export const workersWhole: Checker = {
  name: 'workers-whole',
  watch(world) {
    const workers = workersOf(world.site);
    return (event) => {
      if (workers === null) return null;
      if (event.kind === 'ended') return leftBehind(world, event.session);
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

function leftBehind(world: World, session: Session): string | null {
  if (reportOf(session)?.outcome !== 'done') return null;
  const astray = (session.plan?.target.nodes ?? []).find((name) => {
    const { isUp, worker, disk } = world.nodes.get(name)!;
    return isUp && !session.leftOut.has(name) && worker.release !== disk.current;
  });
  if (astray === undefined) return null;
  const { worker, disk } = world.nodes.get(astray)!;
  return `${session.name} is done, and the worker on ${astray} runs ${worker.release} instead of ${disk.current}`;
}
