import type { NodeName } from '../core/node.ts';
import {
  type BackupPlace,
  backupOf,
  liveRelease,
  type NodeState,
  nodeState,
  type Observation,
  type ReleaseState,
  releaseOn,
} from '../core/observation.ts';
import type { ReleaseId, Revision } from '../core/release.ts';
import { names } from './amount.ts';
import type { Paint } from './paint.ts';
import { shortRevision } from './release-text.ts';
import { table } from './table.ts';

/** One release as all nodes have it. */
export interface ReleaseRow {
  readonly id: ReleaseId;
  readonly revision: Revision | null;
  readonly live: readonly NodeName[];
  /** Nodes that could go live with it at once. */
  readonly complete: readonly NodeName[];
  readonly incomplete: readonly NodeName[];
  /** Nodes on which it was live and failed its checks. */
  readonly failed: readonly NodeName[];
  /** The backup that was made before its migration, and where; null: none. */
  readonly backup: BackupPlace | null;
}

/** Newest first. */
export function releaseRows(observed: Observation): readonly ReleaseRow[] {
  const nodes = Object.values(observed.nodes);
  const ids = [...new Set(nodes.flatMap(({ releases }) => releases.map(({ id }) => id)))].sort().reverse();
  return ids.map((id) => {
    const on = (fits: (release: ReleaseState, node: NodeState) => boolean): readonly NodeName[] =>
      nodes.flatMap((node) => {
        const release = releaseOn(node, id);
        return release && fits(release, node) ? [node.name] : [];
      });
    return {
      id,
      revision:
        nodes.map((node) => releaseOn(node, id)?.revision ?? null).find((revision) => revision !== null) ??
        null,
      live: on((_, node) => liveRelease(node) === id),
      complete: on(({ complete }) => complete),
      incomplete: on(({ complete }) => !complete),
      failed: on(({ failed }) => failed),
      backup: backupOf(observed, id),
    };
  });
}

export function releasesText(observed: Observation, paint: Paint): string {
  const rows = releaseRows(observed);
  const unread = Object.keys(observed.nodes).filter((name) => nodeState(observed, name).unreachable !== null);
  const all = Object.keys(observed.nodes).length - unread.length;
  const on = (nodes: readonly NodeName[]): string =>
    nodes.length === all ? `all ${all}` : names(nodes, 6) || '-';
  const lines = rows.map((row) => [
    row.id,
    shortRevision(row.revision),
    row.live.length === 0 ? '-' : paint.good(on(row.live)),
    on(row.complete),
    [
      ...(row.failed.length > 0 ? [paint.bad(`failed its checks on ${names(row.failed, 6)}`)] : []),
      ...(row.incomplete.length > 0 ? [paint.warn(`not whole on ${names(row.incomplete, 6)}`)] : []),
      ...(row.backup ? [`backup ${row.backup.name} on ${row.backup.node}`] : []),
    ].join('; '),
  ]);
  return [
    rows.length === 0
      ? 'No node has a release.'
      : table([['release', 'revision', 'live on', 'whole on', 'remarks'].map(paint.dim), ...lines]),
    ...(unread.length > 0 ? [paint.warn(`not read: ${names(unread)}`)] : []),
    '',
  ].join('\n');
}
