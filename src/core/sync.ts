import { failure } from './errors.ts';
import type { NodeName, PoolName } from './node.ts';
import {
  hasComplete,
  liveRelease,
  type NodeState,
  nodeState,
  type Observation,
  releaseOn,
} from './observation.ts';
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

export interface SyncWish {
  /** Null: the site has none. */
  readonly pool: PoolName | null;
  /** Null: what most have. */
  readonly to: ReleaseId | null;
}

/**
 * The release that is live and proved on most nodes, of two pools on most of that pool; or `to`. To a pool in which nothing
 * is live no node is brought. Throws `NO_RELEASE_BEFORE` if no node has one, `FLEET_MIXED` if several are on as many, and
 * `SYNC_BACKWARDS` if those that are most never had a newer one that others serve.
 */
export function syncTarget(
  observed: Observation,
  nodes: readonly NodeName[],
  { pool, to }: SyncWish,
): Target {
  const all = Object.values(observed.nodes);
  const own = pool === null ? all : all.filter((node) => node.pool === pool);
  if (
    to === null &&
    pool !== null &&
    own.every((node) => liveRelease(node) === null) &&
    own.length < all.length
  )
    return { ...syncTarget(observed, [], { pool: null, to }), nodes: [] };
  const id = to ?? mostProved(own);
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

function mostProved(nodes: readonly NodeState[]): ReleaseId {
  const live = nodes.flatMap((node) => {
    const id = liveRelease(node);
    return id !== null && node.proved === id ? [id] : [];
  });
  const countOf = (id: ReleaseId): number => live.filter((other) => other === id).length;
  const ids = [...new Set(live)].toSorted((a, b) => countOf(b) - countOf(a));
  const [most, second] = ids;
  if (most === undefined) throw failure('NO_RELEASE_BEFORE', { nodes: nodes.map(({ name }) => name) });
  if (second !== undefined && countOf(second) === countOf(most))
    throw failure('FLEET_MIXED', { releases: ids.filter((id) => countOf(id) === countOf(most)) });
  const newest = ids.toSorted().at(-1)!;
  if (
    newest !== most &&
    nodes.every((node) => liveRelease(node) !== most || releaseOn(node, newest) === null)
  )
    throw failure('SYNC_BACKWARDS', { older: most, newer: newest });
  return most;
}
