import { isAimedAt, type Member, takesRequests } from '../balancer.ts';
import { isRun, reportOf } from '../session.ts';
import { nodeOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';
import { unproved } from './proof-before-traffic.ts';

/**
 * No run sends traffic to a pool that is empty, of two releases, or not proved; and a run that says it is done, or back
 * where it was, leaves all balancers at one pool.
 */
export const poolWhole: Checker = {
  name: 'pool-whole',
  watch: (world) => (event) => {
    if (event.kind === 'flip' && isRun(event.by)) {
      const how = notWhole(world, event.member);
      return (
        how && `${event.by.name} sent all requests of ${event.member.name} to ${event.member.pool}, ${how}`
      );
    }
    if (event.kind !== 'ended') return null;
    const { session } = event;
    const exit = reportOf(session)?.exit;
    const pools = [...new Set(world.members.map(({ pool }) => pool))];
    return (exit === 0 || exit === 1) && session.effects > 0 && pools.length > 1
      ? `${session.name} ends with ${exit}, and balancers send traffic to ${pools.join(' and ')}`
      : null;
  },
};

function notWhole(world: World, member: Member): string | null {
  const aimed = [...member.servers.values()].filter(
    (server) => isAimedAt(member, server) && server.rotation === 'in',
  );
  const nodes = aimed.map(({ node }) => nodeOf(world, node));
  if (!aimed.some(takesRequests)) return 'where nothing serves';
  const releases = [...new Set(nodes.map(({ disk }) => disk.current))];
  // As the world began, it is where a way back may lead.
  const isTouched = nodes.some(({ changedAtMs }) => changedAtMs !== Number.NEGATIVE_INFINITY);
  if (releases.length > 1 && isTouched) return `which has ${releases.join(' and ')}`;
  const unseen = nodes.filter((node) => unproved(world, node).length > 0);
  return unseen.length === 0 ? null : `where ${unseen.map(({ name }) => name).join(', ')} is not proved`;
}
