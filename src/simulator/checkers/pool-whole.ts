import type { PoolName } from '../../core/node.ts';
import type { Member } from '../balancer.ts';
import { isRun, reportOf } from '../session.ts';
import { lastLookOf, nodeOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';
import { unproved } from './proof-before-traffic.ts';

/**
 * No run sends traffic, or a part of it, to a pool of two releases, or one that is not proved; and a run that says it is done, or back
 * where it was, leaves all balancers at one pool.
 */
export const poolWhole: Checker = {
  name: 'pool-whole',
  watch: (world) => (event) => {
    if ((event.kind === 'flip' || event.kind === 'share') && isRun(event.by)) {
      const to = event.kind === 'flip' ? event.member.pool : event.to;
      const how = notWhole(world, event.member, to);
      return how && `${event.by.name} sent requests of ${event.member.name} to ${to}, ${how}`;
    }
    if (event.kind !== 'ended') return null;
    const { session } = event;
    const exit = reportOf(session)?.exit;
    const pools = [...new Set(world.members.flatMap(({ pool, share }) => [pool, share?.to ?? pool]))];
    // What a balancer forgot, or was told by hand, since the run last looked it cannot know.
    const isKnown = world.disturbedAtMs < lastLookOf(world, session);
    return (exit === 0 || exit === 1) && session.effects > 0 && pools.length > 1 && isKnown
      ? `${session.name} ends with ${exit}, and balancers send traffic to ${pools.join(' and ')}`
      : null;
  },
};

function notWhole(world: World, member: Member, pool: PoolName | null): string | null {
  const aimed = [...member.servers.values()].filter(
    (server) => (server.pool === null || server.pool === pool) && server.rotation === 'in',
  );
  const nodes = aimed.map(({ node }) => nodeOf(world, node));
  const releases = [...new Set(nodes.map(({ disk }) => disk.current))];
  // As the world began, it is where a way back may lead.
  const isTouched = nodes.some(({ changedAtMs }) => changedAtMs !== Number.NEGATIVE_INFINITY);
  if (releases.length > 1 && isTouched) return `which has ${releases.join(' and ')}`;
  const unseen = nodes.filter((node) => unproved(world, node).length > 0);
  return unseen.length === 0 ? null : `where ${unseen.map(({ name }) => name).join(', ')} is not proved`;
}
