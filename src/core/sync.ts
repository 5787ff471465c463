import { failure } from './errors.ts';
import type { NodeName } from './node.ts';
import { hasComplete, liveRelease, nodeState, type Observation, releaseOn } from './observation.ts';
import { withinFloor } from './recovery.ts';
import type { ReleaseId, Revision } from './release.ts';
import { activate, check, drain, enable, prepare, shift } from './step.ts';
import { outdated, type Strategy } from './strategy.ts';
import type { Target } from './target.ts';

/** Brings nodes that are behind to what the others have, never more at a time than the floor allows. */
export const bringingUp = (servingMin: number): Strategy => ({
  name: 'sync',
  summary: 'Bring the nodes that are behind to the live release of the others.',
  *steps({ observed, target }) {
    const nodes = outdated(observed, target);
    if (nodes.length > 0) yield prepare(nodes, target);
    for (const batch of withinFloor(observed, nodes, servingMin)) {
      yield drain(batch);
      yield activate(batch, target);
      yield check(batch, target);
      yield enable(batch);
    }
    // What a canary that was given up left.
    yield shift(target.nodes, 100);
  },
});

/**
 * The release that is live and proved on most nodes; or `to`. Throws `NO_RELEASE_BEFORE` if no node has one, and
 * `FLEET_MIXED` if several are on as many.
 */
export function syncTarget(observed: Observation, nodes: readonly NodeName[], to: ReleaseId | null): Target {
  const id = to ?? mostProved(observed);
  const holder = holderOf(observed, id);
  if (holder === null) throw failure('RELEASE_ABSENT', { release: id, nodes: Object.keys(observed.nodes) });
  const revision = releaseOn(nodeState(observed, holder), id)?.revision ?? ('' as Revision);
  return { release: { id, revision }, nodes };
}

/** A node that has the release whole: one where it is live, if there is one. */
export function holderOf(observed: Observation, id: ReleaseId): NodeName | null {
  const holders = Object.values(observed.nodes).filter((node) => hasComplete(node, id));
  const [best] = holders.toSorted((a, b) => Number(b.proved === id) - Number(a.proved === id));
  return best?.name ?? null;
}

function mostProved(observed: Observation): ReleaseId {
  const live = Object.values(observed.nodes).flatMap((node) => {
    const id = liveRelease(node);
    return id !== null && node.proved === id ? [id] : [];
  });
  const countOf = (id: ReleaseId): number => live.filter((other) => other === id).length;
  const ids = [...new Set(live)].toSorted((a, b) => countOf(b) - countOf(a));
  const [most, second] = ids;
  if (most === undefined) throw failure('NO_RELEASE_BEFORE', { nodes: Object.keys(observed.nodes) });
  if (second !== undefined && countOf(second) === countOf(most))
    throw failure('FLEET_MIXED', { releases: ids.filter((id) => countOf(id) === countOf(most)) });
  return most;
}
