import type { ReleaseId, Revision } from '../../core/release.ts';
import type { Checker } from './checker.ts';

/** A release is the same bytes on every node, and a deploy brings the revision that it found at its start. */
export const oneRevision: Checker = {
  name: 'one-revision',
  watch() {
    const digests = new Map<ReleaseId, string>();
    const revisions = new Map<string, Revision>();
    return (event) => {
      if (event.kind === 'received') {
        const { digest } = event.node.disk.releases.get(event.release)!;
        const first = digests.get(event.release) ?? digest;
        digests.set(event.release, first);
        return first === digest ? null : `${event.node.name} has other bytes as ${event.release}`;
      }
      if (event.kind !== 'switched' || event.by.release?.id !== event.release) return null;
      const { revision } = event.node.disk.releases.get(event.release)!;
      const { chain } = event.by;
      const first = revisions.get(chain) ?? revision;
      revisions.set(chain, first);
      if (revision === first && revision === event.by.release.revision) return null;
      return `${event.by.name} brought ${revision} live on ${event.node.name}, and set out to bring ${first}`;
    };
  },
};
