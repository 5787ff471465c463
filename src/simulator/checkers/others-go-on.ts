import type { NodeName } from '../../core/node.ts';
import { isBroken, isIdle, isReady, serves, type World } from '../world.ts';

/**
 * Although machines are lost for good: once locks were broken and nodes enabled by hand, each of the others is free, and
 * serves if anything can serve there. Returns those that do not.
 */
export const leftBehind = (world: World): readonly NodeName[] =>
  [...world.nodes.values()]
    .filter(({ isGone, disk }) => !isGone && disk.current !== null)
    .filter((node) => !isBroken(world, node, node.disk.current!))
    .filter(({ name, disk }) => disk.lock !== null || !(isWell(world, name) || isHeld(world, name)))
    .map(({ name }) => name);

const isWell = (world: World, node: NodeName): boolean =>
  serves(world, node) || (isIdle(world, node) && isReady(world, node));

const isHeld = ({ members }: World, node: NodeName): boolean =>
  members.some(({ servers }) => servers.get(node)!.isHeld);
