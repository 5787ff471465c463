import { mayHaveCron } from '../../core/cron.ts';
import type { SimulatedNode } from '../node.ts';
import { isUnderWay, reportOf, type Session } from '../session.ts';
import { isIdle, lastLookOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * Never two nodes may begin jobs of the site, and never do jobs run on two; and of two pools it is one with traffic that
 * has the cron by its role when a run says that all is done, or as it was. A machine that was lost while it had the
 * cron may come back with it: that is the exception, until sluice has taken it off.
 */
export const oneCron: Checker = {
  name: 'one-cron',
  watch(world) {
    const astray = new Set<SimulatedNode>();
    return (event) => {
      if (event.kind === 'ended') return besideTraffic(world, event.session);
      if (event.kind !== 'job' && event.kind !== 'effect') return null;
      const { node } = event;
      if (!hasCron(node) && node.jobs.size === 0) astray.delete(node);
      for (const other of world.nodes.values()) if (other.isGone && hasCron(other)) astray.add(other);
      const at = holders(world).filter((one) => !astray.has(one));
      const busy = [...world.nodes.values()]
        .filter(({ jobs }) => jobs.size > 0)
        .filter((one) => !astray.has(one));
      if (at.length > 1) return `${namesOf(at)} may begin jobs at the same time`;
      return busy.length > 1 ? `${namesOf(busy)} run jobs at the same time` : null;
    };
  },
};

function besideTraffic(world: World, session: Session): string | null {
  const exit = reportOf(session)?.exit;
  const isAlone = !world.sessions.some((one) => one !== session && isUnderWay(one));
  const isKnown = isAlone && world.disturbedAtMs < lastLookOf(world, session);
  if ((exit !== 0 && exit !== 1) || session.effects === 0 || !isKnown || world.site.cron?.node !== null)
    return null;
  const beside = holders(world).find(({ name }) => isIdle(world, name));
  const able = [...world.nodes.values()].find(
    ({ name, disk }) => !isIdle(world, name) && mayHaveCron(world.site, name) && disk.current !== null,
  );
  return beside && able
    ? `${session.name} ends with ${exit} and the cron on ${beside.name}, which gets no traffic, and not on ${able.name}`
    : null;
}

const hasCron = ({ disk }: SimulatedNode): boolean => disk.cron.length > 0 && disk.cronSince !== null;

const holders = ({ nodes }: World): readonly SimulatedNode[] => [...nodes.values()].filter(hasCron);

const namesOf = (nodes: readonly SimulatedNode[]): string => nodes.map(({ name }) => name).join(' and ');
