import { assert } from './assert.ts';
import { compactTime, timeOfCompact } from './instant.ts';

/** `YYYYMMDDHHMMSS` in UTC. Made once for the whole fleet, and the only order among releases. */
export type ReleaseId = string & { readonly brand: 'ReleaseId' };

/** A full 40-digit (SHA-1) or 64-digit (SHA-256) hexadecimal commit. */
export type Revision = string & { readonly brand: 'Revision' };

/** One immutable build of a revision. */
export interface Release {
  readonly id: ReleaseId;
  readonly revision: Revision;
}

export const isReleaseId = (text: string): text is ReleaseId => /^\d{14}$/.test(text);

export const isRevision = (text: string): text is Revision => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);

/**
 * The id of a release made now, greater than every id in `taken`: a clock that runs behind, or two releases
 * in one second, must not make the newer release look older.
 */
export function newReleaseId(nowMs: number, taken: readonly ReleaseId[]): ReleaseId {
  const newest = taken.toSorted().at(-1) ?? '';
  for (let ms = nowMs; ; ms = Math.max(ms, timeOfCompact(newest)) + 1000) {
    const id = compactTime(ms);
    assert(isReleaseId(id), 'a compact time has 14 digits');
    if (id > newest) return id;
  }
}
