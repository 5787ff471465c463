import { failure } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { bearingNodes, type Observation } from '../core/observation.ts';

/**
 * The promise of the floor, against the site as it is now: other nodes may have failed since the plan was made. Throws
 * `FLOOR_AT_RISK` if taking `nodes` out would leave too few.
 */
export function guardFloor(nodes: readonly NodeName[], servingMin: number, observed: Observation): void {
  const serving = bearingNodes(observed);
  const left = serving.filter((node) => !nodes.includes(node)).length;
  if (left < serving.length && left < servingMin) {
    throw failure('FLOOR_AT_RISK', { nodes, serving: left, servingMin });
  }
}
