import type { Release, ReleaseId, Revision } from '../core/release.ts';

/** `20260114093000 (3f2a9c1)` */
export const releaseText = ({
  id,
  revision,
}: {
  readonly id: ReleaseId;
  readonly revision: Revision | null;
}): string => (revision === null ? id : `${id} (${shortRevision(revision)})`);

/** The seven digits that git shows. */
export const shortRevision = (revision: Release['revision'] | string | null): string =>
  revision?.slice(0, 7) ?? '-';
