import type { ReleaseId } from '../../core/release.ts';
import type { SimulatedNode } from '../node.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * Before a deploy brings its release live on the first node, every node that it does not leave out has the static assets of
 * that release beside those of the one that it serves: whichever of them a page is of, its files are found.
 */
export const assetsFirst: Checker = {
  name: 'assets-first',
  watch: (world) => (event) => {
    if (event.kind !== 'switched' || world.site.assets.length === 0) return null;
    const { by, release } = event;
    if (by.plan?.purpose !== 'deploy' || by.release?.id !== release) return null;
    const lacking = nodesOf(world, by.plan.target.nodes).filter(
      (node) => !by.leftOut.has(node.name) && !node.isGone && lacks(node, release),
    );
    return lacking.length === 0
      ? null
      : `${by.name} brought ${release} live on ${event.node.name}, and ${lacking.map(({ name }) => name).join(', ')} lacks its assets`;
  },
};

/** Those that change; of two pools also those of the other one, for traffic goes from there to here, and perhaps back. */
const nodesOf = (world: World, changing: readonly string[]): readonly SimulatedNode[] =>
  [...world.nodes.values()].filter(({ name, node }) => changing.includes(name) || node.pool !== null);

const lacks = ({ disk }: SimulatedNode, release: ReleaseId): boolean =>
  disk.current !== null && !disk.releases.get(disk.current)?.assetsOf.has(release);
