import { assert, expect } from 'vitest';
import { fetchFiles } from '../../src/commands/fetch-files.ts';
import { heldImage, readManifest } from '../../src/commands/image.ts';
import { layout } from '../../src/commands/layout.ts';
import { receive, receiveImage } from '../../src/commands/receive.ts';
import type { HeldImage } from '../../src/core/image.ts';
import type { Release, ReleaseId, Revision } from '../../src/core/release.ts';
import type { ParcelContents, Source } from '../../src/ports.ts';
import { read, whole } from '../contracts/source.ts';
import { nodeFolder } from './node-folder.ts';

export const nthRelease = (revision: Revision, n = 1): Release => ({
  id: `2026010100000${n}` as ReleaseId,
  revision,
});

/** A node whose lock a run holds, and which is sent releases as a run sends them. */
export function receivingNode() {
  const folder = nodeFolder({ linkedDirs: ['media'], linkedFiles: ['.env'] });
  folder.write('.sluice/lock', 'run-1\n{}\n');
  for (const dir of ['releases', 'shared', '.sluice/incoming', '.sluice/releases', '.sluice/journal'])
    folder.mkdir(dir);
  const held = (): HeldImage | null => folder.run(heldImage(folder.dir)).result;
  const contentsOf = async (contents: ParcelContents, { id }: Release): Promise<string | null> => {
    if (contents.from !== 'urls') return contents.from === 'parcel' ? null : contents.folder;
    const fetched = folder.run(fetchFiles(folder.fence(), id), Buffer.from(await contents.config()));
    expect([fetched.status, fetched.stderr, fetched.result]).toEqual([0, '', null]);
    return layout.fetched(id);
  };
  return {
    folder,
    held,
    async receive(source: Source, revision: Revision, n = 1, spoil = flipNothing) {
      const release = nthRelease(revision, n);
      const built = await source.build(release, {});
      const base = held();
      const told = base && folder.run(readManifest(folder.dir, base.release)).result;
      const less =
        base && told && 'since' in built
          ? ((await built.since(base)) ?? (await built.since({ ...base, told })))
          : null;
      const artifact = less ?? (await whole(built));
      assert(artifact);
      const { digest } = artifact;
      const contents = artifact.contents ? await contentsOf(artifact.contents, release) : null;
      const bytes = spoil(await read(artifact));
      const command =
        'since' in built
          ? receiveImage(folder.fence(), folder.site, release, {
              digest,
              image: built.image,
              base: less && base ? base.release : null,
              timeSeconds: built.timeSeconds,
              contents,
            })
          : receive(folder.fence(), folder.site, release, digest);
      const ran = folder.run(command, bytes);
      await built.discard();
      return { ...ran, bytes: artifact.bytes };
    },
  };
}

const flipNothing = (bytes: Buffer): Buffer => bytes;
