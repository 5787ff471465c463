import type { NodeName, PoolName } from '../../core/node.ts';
import { isAimedAt, takesRequests } from '../balancer.ts';
import { type Actor, isRun, type Session } from '../session.ts';
import { lastLookOf, membersThatCount, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * No run takes a node out of service, or a part of its weight, where fewer than `servingMin` would be left; nor does it
 * send traffic to a pool that is empty, or holds fewer. What was lost by other hands after the run last looked, a moment ago, it could
 * not know: that counts as if it still served.
 */
export const floor: Checker = {
  name: 'floor',
  watch(world) {
    let bearing = bearingIn(world);
    const losses = new Map<NodeName, Loss>();
    const unseen = (by: Session, names: ReadonlySet<NodeName>): readonly NodeName[] =>
      unseenLosses(world, by, losses).filter((name) => !bearing.has(name) && names.has(name));
    return (event) => {
      if (event.kind === 'flip' && isRun(event.by)) {
        const { by, from, member } = event;
        const [had, gets] = [poolOf(world, from), poolOf(world, member.pool)];
        const holds = [...gets].filter((name) => bearing.has(name)).length + unseen(by, gets).length;
        const held = [...had].filter((name) => bearing.has(name)).length;
        return holds > 0 && holds >= Math.min(held, world.site.servingMin)
          ? null
          : `${by.name} sent all requests of ${member.name} to ${member.pool}, where ${holds} nodes serve; ${from} has ${held}, and servingMin is ${world.site.servingMin}`;
      }
      if (!['rotation', 'weight', 'health', 'fault', 'address'].includes(event.kind)) return null;
      const before = bearing;
      bearing = bearingIn(world);
      const by = event.kind === 'rotation' || event.kind === 'weight' ? event.by : 'fault';
      const atMs = world.clock.passedMs();
      const live = aimedIn(world);
      const lost = [...before].filter((node) => !bearing.has(node));
      for (const node of lost) losses.set(node, { atMs, by });
      const served = lost.filter((node) => live.has(node));
      if (served.length === 0 || !isRun(by)) return null;
      const serving = [...bearing].filter((node) => live.has(node)).length;
      const { servingMin } = world.site;
      if (serving + unseen(by, live).length >= servingMin) return null;
      return `${by.name} took ${served.join(', ')} out of service and left ${serving} serving; servingMin is ${servingMin}`;
    };
  },
};

interface Loss {
  readonly atMs: number;
  readonly by: Actor;
}

/** Nodes that serve with their whole weight, or would once their pool got the traffic. */
const bearingIn = (world: World): ReadonlySet<NodeName> => {
  const members = membersThatCount(world);
  return new Set(
    [...world.nodes.keys()].filter((node) =>
      members.every(({ isUp, servers }) => {
        const server = servers.get(node)!;
        return isUp && takesRequests(server) && server.weight >= 100;
      }),
    ),
  );
};

/** Nodes that every balancer sends requests to, or would if they were ready. */
const aimedIn = (world: World): ReadonlySet<NodeName> => {
  const members = membersThatCount(world);
  return new Set(
    [...world.nodes.keys()].filter((node) =>
      members.every((member) => isAimedAt(member, member.servers.get(node)!)),
    ),
  );
};

const poolOf = ({ nodes }: World, pool: PoolName | null): ReadonlySet<NodeName> =>
  new Set([...nodes.values()].flatMap(({ name, node }) => (node.pool === pool ? [name] : [])));

/** The longest time from a look at the balancers to the change that relies on it. */
export const lookHoldsMs = 2000;

function unseenLosses(
  world: World,
  session: Session,
  losses: ReadonlyMap<NodeName, Loss>,
): readonly NodeName[] {
  const sinceMs = Math.max(lastLookOf(world, session), world.clock.passedMs() - lookHoldsMs);
  return [...losses].filter(([, { atMs, by }]) => !isRun(by) && atMs >= sinceMs).map(([node]) => node);
}
