import { failure, list } from './errors.ts';
import { nearest } from './nearest.ts';
import type { Node, NodeName, PoolName } from './node.ts';
import {
  closedBy,
  hasComplete,
  livePool,
  liveRelease,
  nodeState,
  type Observation,
  type PoolParts,
  poolNodes,
  releaseOn,
} from './observation.ts';
import { newReleaseId, type Release, type ReleaseId, type Revision } from './release.ts';

/** What a plan leads to: `release` live on each of `nodes`. */
export interface Target {
  readonly release: Release;
  readonly nodes: readonly NodeName[];
  /** The release under whose name work that runs once leaves its marks, where this one goes on for another. */
  readonly onceAs?: ReleaseId;
}

/**
 * The release that a deploy of `revision` leads to. One that is live already on some node, and whole on all that were
 * asked for, is taken on: so nothing to do is nothing done, and the rest of a fleet gets the same bytes. Otherwise it is
 * a new release, were the revision known: going back to a release is what a rollback is for, and no node is brought back
 * behind an irreversible migration unawares.
 */
export function deployTarget(
  observed: Observation,
  nodes: readonly NodeName[],
  revision: Revision,
  nowMs: number,
): Target {
  const live = Object.values(observed.nodes).flatMap((state) => {
    const id = liveRelease(state);
    const release = id === null ? null : releaseOn(state, id);
    return release?.revision === revision && !release.failed ? [release.id] : [];
  });
  const taken = live
    .toSorted()
    .findLast(
      (id) =>
        nodes.every((name) => hasComplete(nodeState(observed, name), id)) &&
        (closedBy(observed, id) === null ||
          nodes.every((name) => liveRelease(nodeState(observed, name)) === id)),
    );
  return taken ? { release: { id: taken, revision }, nodes } : newTarget(observed, nodes, revision, nowMs);
}

/** A release that is still to be built. */
export const newTarget = (
  observed: Observation,
  nodes: readonly NodeName[],
  revision: Revision,
  nowMs: number,
): Target => ({ release: { id: newReleaseId(nowMs, allIds(observed)), revision }, nodes });

const allIds = (observed: Observation): readonly ReleaseId[] =>
  Object.values(observed.nodes).flatMap(({ releases }) => releases.map(({ id }) => id));

/**
 * The release that a rollback leads to: the one that is named, or the newest before the live one that answered its
 * checks, and is whole on every node. Live is what those nodes have that are `serving`. Throws `RELEASE_ABSENT` or `NO_RELEASE_BEFORE`.
 */
export function rollbackTarget(
  observed: Observation,
  nodes: readonly NodeName[],
  to: ReleaseId | null,
  serving: readonly NodeName[] = nodes,
): Target {
  const id = to ?? releaseBefore(observed, nodes, serving);
  if (id === null) throw failure('NO_RELEASE_BEFORE', { nodes });
  const absent = nodes.filter((name) => !hasComplete(nodeState(observed, name), id));
  if (absent.length > 0) throw failure('RELEASE_ABSENT', { release: id, nodes: absent });
  const revision = releaseOn(nodeState(observed, nodes[0]!), id)?.revision;
  return { release: { id, revision: revision ?? ('' as Revision) }, nodes };
}

/**
 * The newest release before the live one that is good on every node: whole, and it answered its checks there. By id, the
 * only order among releases, never by the times of directories.
 */
function releaseBefore(
  observed: Observation,
  nodes: readonly NodeName[],
  serving: readonly NodeName[],
): ReleaseId | null {
  const states = nodes.map((name) => nodeState(observed, name));
  const live =
    serving
      .map((name) => liveRelease(nodeState(observed, name)) ?? '')
      .toSorted()
      .at(-1) ?? '';
  const good = states.map(
    ({ releases }) =>
      new Set(releases.filter((one) => one.complete && one.checked && !one.failed).map(({ id }) => id)),
  );
  const [first = new Set(), ...others] = good;
  return (
    [...first]
      .filter((id) => id < live && others.every((ids) => ids.has(id)))
      .toSorted()
      .at(-1) ?? null
  );
}

/** The pool that gets the traffic, and the nodes of the other one. */
export interface Pools {
  readonly live: PoolName;
  readonly serving: readonly NodeName[];
  readonly idle: readonly NodeName[];
}

/** Throws `POOLS_ABSENT`, or `POOLS_DIFFER` if not all balancers send traffic to one and the same pool. */
export function poolsOf(observed: Observation): Pools {
  const pools = [...new Set(Object.values(observed.nodes).flatMap(({ pool }) => pool ?? []))];
  if (pools.length === 0) throw failure('POOLS_ABSENT', {});
  const live = livePool(observed);
  if (live === null) throw failure('POOLS_DIFFER', { seen: aimsOf(observed) });
  const idle = pools.filter((pool) => pool !== live).flatMap((pool) => poolNodes(observed, pool));
  return { live, serving: poolNodes(observed, live), idle };
}

/** Which balancer sends traffic where, a sentence's part each. */
export const aimsOf = ({ balancers }: Observation): readonly string[] =>
  balancers.map(({ balancer, member, pool, parts, unreachable }) => {
    const isAlone = balancers.filter((one) => one.balancer === balancer).length === 1;
    const name = isAlone ? balancer : `${balancer} (${member})`;
    const unnamed = unreachable === null ? 'no pool that it names' : 'nobody knows where';
    return `${name} to ${pool ?? (parts ? list(sharesOf(parts)) : unnamed)}`;
  });

/** What each pool gets, such as `blue 80 %`, in the order of their names. */
export const sharesOf = (parts: PoolParts): readonly string[] =>
  Object.entries(parts)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([pool, percent]) => `${pool} ${percent} %`);

/** Of two pools, the nodes that get `revision`: those without traffic, unless the others have it, and proved it. */
export function nodesToRenew(observed: Observation, revision: Revision): readonly NodeName[] {
  const { serving, idle } = poolsOf(observed);
  const [id = null, ...others] = new Set(serving.map((name) => liveRelease(nodeState(observed, name))));
  const isDone = serving.every((name) => {
    const node = nodeState(observed, name);
    const release = id === null ? null : releaseOn(node, id);
    return release?.revision === revision && !release.failed && node.proved === id;
  });
  return isDone && others.length === 0 ? serving : idle;
}

/**
 * Where a flip leads: to the pool with the newer release, `back` to the one with the older; where both have the same, to
 * the other one. Throws `POOLS_ABSENT`, `POOL_NOT_WHOLE` or `FLIP_NOWHERE`.
 */
export function flipTarget(observed: Observation, back: boolean): Target & { readonly pool: PoolName } {
  const names = [...new Set(Object.values(observed.nodes).flatMap(({ pool }) => pool ?? []))];
  if (names.length === 0) throw failure('POOLS_ABSENT', {});
  const live = livePool(observed);
  const pools = names
    .map((pool) => ({ pool, ...wholeRelease(observed, pool) }))
    .toSorted((a, b) =>
      a.id < b.id ? -1 : a.id > b.id ? 1 : Number(b.pool === live) - Number(a.pool === live),
    );
  const [older, newer] = [pools[0]!, pools.at(-1)!];
  const chosen = back && older.id !== newer.id ? older : newer;
  if (chosen.pool === live) throw failure('FLIP_NOWHERE', { pool: live, release: chosen.id, back });
  const { pool, id, revision } = chosen;
  return { release: { id, revision }, nodes: poolNodes(observed, pool), pool };
}

function wholeRelease(observed: Observation, pool: PoolName): Release {
  const nodes = poolNodes(observed, pool).map((name) => nodeState(observed, name));
  const [id = null, ...others] = new Set(nodes.map(liveRelease));
  if (id === null || others.length > 0)
    throw failure('POOL_NOT_WHOLE', {
      pool,
      seen: nodes.map((node) => `${node.name} has ${liveRelease(node) ?? 'nothing'}`),
    });
  return { id, revision: releaseOn(nodes[0]!, id)?.revision ?? ('' as Revision) };
}

/** The nodes with these names, in the order of the config and each once; null: all. Throws `NODE_UNKNOWN`. */
export function namedNodes(nodes: readonly Node[], names: readonly NodeName[] | null): readonly NodeName[] {
  const known = nodes.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw failure('NODE_UNKNOWN', { node: unknown, known, nearest: nearest(unknown, known) });
  }
  return known.filter((name) => names?.includes(name) ?? true);
}
