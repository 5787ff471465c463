import type { NodeName } from '../../core/node.ts';
import { type Actor, isRun, type Session } from '../session.ts';
import { serves, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * No run takes a node out of service, or a part of its weight, where fewer than `servingMin` would be left. What was lost by other hands after
 * the run last looked, a moment ago, it could not know: that counts as if it still served.
 */
export const floor: Checker = {
  name: 'floor',
  watch(world) {
    let serving = servingIn(world);
    const losses = new Map<NodeName, Loss>();
    return (event) => {
      if (!['rotation', 'weight', 'health', 'fault'].includes(event.kind)) return null;
      const before = serving;
      serving = servingIn(world);
      const by = event.kind === 'rotation' || event.kind === 'weight' ? event.by : 'fault';
      const atMs = world.clock.passedMs();
      const lost = [...before].filter((node) => !serving.has(node));
      for (const node of lost) losses.set(node, { atMs, by });
      if (lost.length === 0 || !isRun(by)) return null;
      const unseen = unseenLosses(world, by, serving, losses);
      const left = serving.size + unseen.length;
      const { servingMin } = world.site;
      if (left >= servingMin) return null;
      return `${by.name} took ${lost.join(', ')} out of service and left ${serving.size} serving; servingMin is ${servingMin}`;
    };
  },
};

interface Loss {
  readonly atMs: number;
  readonly by: Actor;
}

const servingIn = (world: World): ReadonlySet<NodeName> =>
  new Set(
    [...world.nodes.keys()].filter(
      (node) => serves(world, node) && world.members.every(({ servers }) => servers.get(node)!.weight >= 100),
    ),
  );

/** The longest time from a look at the balancers to the change that relies on it. */
export const lookHoldsMs = 2000;

function unseenLosses(
  world: World,
  session: Session,
  serving: ReadonlySet<NodeName>,
  losses: ReadonlyMap<NodeName, Loss>,
): readonly NodeName[] {
  const oldest = Math.min(...world.members.map(({ name }) => session.looks.get(name) ?? 0));
  const sinceMs = Math.max(oldest, world.clock.passedMs() - lookHoldsMs);
  return [...losses]
    .filter(([node, { atMs, by }]) => !serving.has(node) && !isRun(by) && atMs >= sinceMs)
    .map(([node]) => node);
}
