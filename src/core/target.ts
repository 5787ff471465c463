import { failure } from './errors.ts';
import { nearest } from './nearest.ts';
import type { Node, NodeName } from './node.ts';
import { closedBy, hasComplete, liveRelease, nodeState, type Observation, releaseOn } from './observation.ts';
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
 * checks, and is whole on every node. Throws `RELEASE_ABSENT` or `NO_RELEASE_BEFORE`.
 */
export function rollbackTarget(
  observed: Observation,
  nodes: readonly NodeName[],
  to: ReleaseId | null,
): Target {
  const id = to ?? releaseBefore(observed, nodes);
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
function releaseBefore(observed: Observation, nodes: readonly NodeName[]): ReleaseId | null {
  const states = nodes.map((name) => nodeState(observed, name));
  const live =
    states
      .map((state) => liveRelease(state) ?? '')
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

/** The nodes with these names, in the order of the config and each once; null: all. Throws `NODE_UNKNOWN`. */
export function namedNodes(nodes: readonly Node[], names: readonly NodeName[] | null): readonly NodeName[] {
  const known = nodes.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw failure('NODE_UNKNOWN', { node: unknown, known, nearest: nearest(unknown, known) });
  }
  return known.filter((name) => names?.includes(name) ?? true);
}
