import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { MachineState } from '../../core/drift.ts';
import { failure } from '../../core/errors.ts';
import {
  type FileEntry,
  type ImageSummary,
  type Manifest,
  manifestText,
  parseManifest,
} from '../../core/image.ts';
import { isRevision, type Revision } from '../../core/release.ts';
import type { ParcelContents } from '../../ports.ts';

/** Where images are kept: their manifests, what is said of them, and the content of all of them, each file once. */
export interface ImageStore {
  /** For people. */
  readonly address: string;
  /** Newest first. */
  list(): Promise<readonly ImageSummary[]>;
  /** Rejects with `IMAGE_DAMAGED` if it is not what its name says, or not there. */
  read(name: Revision): Promise<Manifest>;
  /** What `add` was told of the seed; null for an image of a time when it was told nothing. Rejects as `read` does. */
  machine(name: Revision): Promise<MachineState | null>;
  /** Of these digests those of which there is no content; the rest stays for a day at least. */
  lacks(digests: readonly string[]): Promise<readonly string[]>;
  /** Stores content, by `add` at the latest, and says its digest. */
  put(content: AsyncIterable<Uint8Array>): Promise<string>;
  /** Stores the manifest of content that is there. */
  add(manifest: Manifest, about: About, machine: MachineState): Promise<ImageSummary>;
  /** The content of a file of an image. Rejects with `IMAGE_DAMAGED`, once it is read, if it is not what its digest says. */
  content(name: Revision, file: FileEntry): AsyncIterable<Uint8Array>;
  /** Deletes images, and content that no image has had for a day. */
  remove(names: readonly Revision[], nowMs: number): Promise<void>;
  /** Where the content of these files is for a node that lacks them; asked where they are not in the parcel. */
  contents(files: readonly FileEntry[]): ParcelContents;
}

export type About = Pick<ImageSummary, 'atMs' | 'from' | 'by' | 'commit'>;

/**
 * In a folder: `images/<name>/manifest`, `about.json` and `machine.json`, and contents as `files/<two digits>/<digest>`. Everything appears
 * whole, by a rename.
 */
export function folderStore(folder: string): ImageStore {
  const images = join(folder, 'images');
  const fileOf = (digest: string): string => join(folder, 'files', digest.slice(0, 2), digest);
  const damaged = (name: Revision, ...problems: readonly string[]) =>
    failure('IMAGE_DAMAGED', { image: name, store: folder, problems });

  async function summary(name: Revision): Promise<ImageSummary> {
    const about = await readFile(join(images, name, 'about.json'), 'utf8').catch(() => '');
    try {
      return { ...(JSON.parse(about) as ImageSummary), name };
    } catch {
      throw damaged(name, 'about.json cannot be read');
    }
  }

  const names = async (): Promise<readonly Revision[]> => (await namesIn(images)).filter(isRevision);

  async function read(name: Revision): Promise<Manifest> {
    const text = await readFile(join(images, name, 'manifest')).catch(() => null);
    if (text === null) throw damaged(name, 'its manifest cannot be read');
    if (digestOf(text) !== name) throw damaged(name, 'its manifest is not the one that it is named by');
    return parseManifest(text.toString());
  }

  /** What `look` says of every image, but for those that another process removes meanwhile. */
  async function ofEach<T>(look: (name: Revision) => Promise<T>): Promise<readonly T[]> {
    const found = await Promise.all(
      (await names()).map((name) =>
        look(name).then(
          (seen) => [seen],
          async (error: unknown) => {
            if (await isThere(join(images, name))) throw error;
            return [];
          },
        ),
      ),
    );
    return found.flat();
  }

  return {
    address: folder,
    async list() {
      return (await ofEach(summary)).toSorted((a, b) => b.atMs - a.atMs);
    },
    read,
    async machine(name) {
      if (!(await isThere(join(images, name)))) throw damaged(name, 'it is not there');
      const text = await readFile(join(images, name, 'machine.json'), 'utf8').catch(() => 'null');
      try {
        return JSON.parse(text) as MachineState | null;
      } catch {
        throw damaged(name, 'machine.json cannot be read');
      }
    },
    async lacks(digests) {
      const now = new Date();
      const isMissing = await Promise.all(
        digests.map((digest) =>
          utimes(fileOf(digest), now, now).then(
            () => false,
            () => true,
          ),
        ),
      );
      return digests.filter((_, i) => isMissing[i]);
    },
    async put(content) {
      const incoming = join(folder, 'incoming', randomBytes(8).toString('hex'));
      await mkdir(dirname(incoming), { recursive: true });
      try {
        const digest = createHash('sha256');
        await pipeline(content, hashing(digest), createWriteStream(incoming, { flags: 'wx' }));
        const name = digest.digest('hex');
        await mkdir(dirname(fileOf(name)), { recursive: true });
        await rename(incoming, fileOf(name));
        return name;
      } finally {
        await rm(incoming, { force: true });
      }
    },
    async add(manifest, about, machine) {
      const { text, whole } = summed(manifest, about);
      const { name } = whole;
      const place = join(images, name);
      const fresh = awayFrom(place);
      await mkdir(fresh, { recursive: true });
      try {
        await writeFile(join(fresh, 'manifest'), text, { flush: true });
        await writeFile(join(fresh, 'about.json'), `${JSON.stringify(whole, null, 2)}\n`, { flush: true });
        await writeFile(join(fresh, 'machine.json'), `${JSON.stringify(machine)}\n`, { flush: true });
        // An image that is there keeps its place: files replace files, a folder no folder that is not empty.
        await rename(fresh, place).catch(async (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
          for (const file of ['manifest', 'about.json', 'machine.json'])
            await rename(join(fresh, file), join(place, file));
        });
      } finally {
        await rm(fresh, { recursive: true, force: true });
      }
      return whole;
    },
    async *content(name, file) {
      const digest = createHash('sha256');
      try {
        const chunks =
          file.bytes > wholeMax ? createReadStream(fileOf(file.digest)) : [readFileSync(fileOf(file.digest))];
        yield* hashing(digest)(chunks);
      } catch {
        throw damaged(name, `${file.path} cannot be read`);
      }
      if (digest.digest('hex') !== file.digest) throw damaged(name, `${file.path} is not as it was captured`);
    },
    async remove(gone, nowMs) {
      for (const name of gone) await removeWhole(join(images, name));
      const manifests = await ofEach(read);
      const used = new Set(
        manifests.flat().flatMap((entry) => (entry.kind === 'file' ? [entry.digest] : [])),
      );
      for (const two of await namesIn(join(folder, 'files')))
        for (const digest of await namesIn(join(folder, 'files', two)))
          if (!used.has(digest)) await removeOld(join(folder, 'files', two, digest), nowMs - dayMs);
    },
    contents: () => ({ from: 'storage', folder: join(folder, 'files') }),
  };
}

/** A manifest as text, and what is said of it. */
export function summed(
  manifest: Manifest,
  about: About,
): { readonly text: string; readonly whole: ImageSummary } {
  const text = manifestText(manifest);
  const files = manifest.filter((entry) => entry.kind === 'file');
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const name = digestOf(Buffer.from(text)) as Revision;
  return { text, whole: { name, ...about, files: files.length, bytes } };
}

/** Larger files are streamed. */
export const wholeMax = 1024 * 1024;

const dayMs = 24 * 60 * 60_000;

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Passes bytes on, and counts them into a digest. */
export const hashing = (digest: { update(chunk: Uint8Array): unknown }) =>
  async function* (chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      digest.update(chunk);
      yield chunk;
    }
  };

/** What is there under the name is whole, to the last moment. */
async function removeWhole(place: string): Promise<void> {
  const away = awayFrom(place);
  if (await moved(place, away)) await rm(away, { recursive: true, force: true });
}

/**
 * An image that is being captured at this moment counts on the content that it found here, and made young. So whoever
 * removes it moves it away before the last look at its age: no capture finds it then.
 */
async function removeOld(file: string, beforeMs: number): Promise<void> {
  if (!(await isOlder(file, beforeMs))) return;
  const away = awayFrom(file);
  if (!(await moved(file, away))) return;
  if (await isOlder(away, beforeMs)) await rm(away, { force: true });
  else await moved(away, file);
}

/** Beside it, where nobody looks for it. */
const awayFrom = (path: string): string => join(dirname(path), `.${randomBytes(8).toString('hex')}`);

/** False: another process was faster. */
const moved = (from: string, to: string): Promise<boolean> =>
  rename(from, to).then(
    () => true,
    (error: unknown) => absent(error, false),
  );

const isOlder = (file: string, beforeMs: number): Promise<boolean> =>
  stat(file).then(
    ({ mtimeMs }) => mtimeMs < beforeMs,
    (error: unknown) => absent(error, false),
  );

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Nothing where there is no such folder yet. */
const namesIn = (folder: string): Promise<readonly string[]> =>
  readdir(folder).catch((error: unknown) => absent(error, []));

/** What to take for something that is not there; any other error is thrown. */
function absent<T>(error: unknown, instead: T): T {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return instead;
  throw error;
}
