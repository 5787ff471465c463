import { isPlainObject } from './field.ts';
import type { NodeName, PoolName } from './node.ts';
import { isReleaseId, isRevision, type Release, type ReleaseId } from './release.ts';

/**
 * What a run set out to do. It is written with the lock, on every node, so that whoever comes after a crash can go
 * on or go back, from any machine.
 */
export interface RunIntent {
  readonly purpose: 'deploy' | 'rollback' | 'flip' | 'sync';
  /** What was asked for, such as a branch. */
  readonly wanted: string;
  readonly release: Release;
  readonly nodes: readonly NodeName[];
  readonly before: Before;
  /** The pool that got the traffic when the run began; null: there were no pools, or balancers differed. */
  readonly pool: PoolName | null;
  /** The release under whose name work that runs once leaves its marks: the first one of several attempts. */
  readonly onceAs: ReleaseId;
}

/** The release that each node had when the run began; null if it had none. */
export type Before = Readonly<Record<NodeName, Release | null>>;

/** Reads what stands on a node; null for anything that is not a whole intent. */
export function parseIntent(value: unknown): RunIntent | null {
  if (!isPlainObject(value)) return null;
  const { purpose, wanted, nodes, onceAs, pool = null } = value;
  const release = parseRelease(value.release);
  const before = parseBefore(value.before);
  if (purpose !== 'deploy' && purpose !== 'rollback' && purpose !== 'flip' && purpose !== 'sync') return null;
  if (pool !== null && typeof pool !== 'string') return null;
  if (typeof wanted !== 'string' || !release || !before || !isTextList(nodes)) return null;
  if (typeof onceAs !== 'string' || !isReleaseId(onceAs)) return null;
  return { purpose, wanted, release, nodes, before, pool, onceAs };
}

/** A release of another tool may have no revision. */
function parseRelease(value: unknown): Release | null {
  if (!isPlainObject(value) || typeof value.id !== 'string' || typeof value.revision !== 'string')
    return null;
  const { id, revision } = value;
  if (!isReleaseId(id) || !(isRevision(revision) || revision === '')) return null;
  return { id, revision: revision as Release['revision'] };
}

function parseBefore(value: unknown): Before | null {
  if (!isPlainObject(value)) return null;
  const entries = Object.entries(value).map(
    ([node, had]) => [node, had === null ? null : parseRelease(had)] as const,
  );
  const broken = entries.some(([node, had]) => had === null && value[node] !== null);
  return broken ? null : Object.fromEntries(entries);
}

const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');
