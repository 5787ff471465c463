import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Manifest, manifestText, parseManifest } from '../../core/image.ts';
import { isRevision, type Revision } from '../../core/release.ts';

/** Manifests of earlier builds, by name, on the operator's machine. One that is not there is asked of the node. */
export interface ManifestCache {
  find(image: Revision): Promise<Manifest | null>;
  /** Says the manifest's name. The oldest of many go. */
  keep(manifest: Manifest): Promise<Revision>;
}

export function manifestCache(folder: string): ManifestCache {
  return {
    async find(image) {
      const text = await readFile(join(folder, image)).catch(() => null);
      return text !== null && digestOf(text) === image ? parseManifest(text.toString()) : null;
    },
    async keep(manifest) {
      const text = manifestText(manifest);
      const name = digestOf(text) as Revision;
      const fresh = join(folder, `.${randomBytes(8).toString('hex')}`);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      try {
        await writeFile(fresh, text, { mode: 0o600 });
        await rename(fresh, join(folder, name));
      } finally {
        await rm(fresh, { force: true });
      }
      await removeOldest(folder);
      return name;
    },
  };
}

const digestOf = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

const keptMax = 100;

/** What another process removed first is gone, too. */
async function removeOldest(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter(isRevision);
  if (names.length <= keptMax) return;
  const aged = await Promise.all(
    names.map(async (name) => ({
      name,
      atMs: await stat(join(folder, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    })),
  );
  const oldest = aged.sort((a, b) => b.atMs - a.atMs).slice(keptMax);
  await Promise.all(oldest.map(({ name }) => rm(join(folder, name), { force: true })));
}
