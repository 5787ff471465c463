import { assert } from './assert.ts';
import { compactTime, timeOfCompact } from './instant.ts';

/** `YYYYMMDDHHMMSS` in UTC. Made once for the whole fleet, and the only order among releases. */
export type ReleaseId = string & { readonly brand: 'ReleaseId' };

/**
 * What a release is a build of, in hexadecimal: a full commit of 40 digits (SHA-1) or 64 (SHA-256), or the name of a seed
 * image, of 64 (SHA-256 of its manifest). Only its source knows which.
 */
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
