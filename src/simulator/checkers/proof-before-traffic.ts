import type { SimulatedNode } from '../node.ts';
import { isRun } from '../session.ts';
import { nodeOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/** No run lets a node take traffic that has not answered every check, as what is on it, since its last change. */
export const proofBeforeTraffic: Checker = {
  name: 'proof-before-traffic',
  watch: (world) => (event) => {
    if (event.kind !== 'rotation' || event.server.rotation !== 'in' || !isRun(event.by)) return null;
    const node = nodeOf(world, event.server.node);
    const missing = unproved(world, node);
    return missing.length === 0
      ? null
      : `${event.by.name} let ${node.name} take traffic, which has not answered ${missing.join(', ')} as ${node.disk.current} since its last change`;
  },
};

/** The paths that a node has not answered rightly since it was changed. */
export const unproved = ({ site }: World, node: SimulatedNode): readonly string[] =>
  node.changedAtMs === Number.NEGATIVE_INFINITY
    ? []
    : site.checks
        .map(({ path }) => path)
        .filter((path) => {
          const answer = node.answers.get(path);
          return !answer || answer.atMs < node.changedAtMs || answer.release !== node.disk.current;
        });
