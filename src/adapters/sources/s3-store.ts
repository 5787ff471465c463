import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { MachineState } from '../../core/drift.ts';
import { failure, isDeployError } from '../../core/errors.ts';
import { type FileEntry, type ImageSummary, type Manifest, parseManifest } from '../../core/image.ts';
import { isRevision, type Revision } from '../../core/release.ts';
import type { S3Settings } from '../../core/site.ts';
import { gunzipped } from './gzip.ts';
import { digestOf, hashing, type ImageStore, summed, wholeMax } from './image-store.ts';
import { type S3Object, s3Objects } from './s3-objects.ts';

/**
 * In S3: `images/<name>/manifest`, what is said of an image as `images/<name>/<time>.json` for each time that it was captured, with
 * what else the seed had then as `<time>.machine.json`, and contents as `files/<two digits>/<digest>.gz`, gzip-compressed. No object is ever written in the place of another. An image
 * is there once something is said of it, which comes last.
 */
export function s3Store(settings: S3Settings): ImageStore {
  const objects = s3Objects(settings);
  const keyOf = (digest: string): string => `files/${digest.slice(0, 2)}/${digest}.gz`;
  const damaged = (name: Revision, problem: string) =>
    failure('IMAGE_DAMAGED', { image: name, store: objects.address, problems: [problem] });
  const uploads = uploading(objects.put);

  /** Keys of what is said, by image; the newest last. */
  async function said(): Promise<ReadonlyMap<Revision, readonly string[]>> {
    const found = new Map<Revision, string[]>();
    for (const { key } of await objects.list('images/')) {
      const [, name = ''] = /^images\/([0-9a-f]+)\/\d+\.json$/.exec(key) ?? [];
      if (isRevision(name)) found.set(name, [...(found.get(name) ?? []), key]);
    }
    return found;
  }

  /** None if it was removed meanwhile. */
  async function summary(name: Revision, key: string): Promise<readonly ImageSummary[]> {
    const text = await whole(key);
    if (text === null) return [];
    try {
      return [{ ...(JSON.parse(text.toString()) as ImageSummary), name }];
    } catch {
      throw damaged(name, `${key} cannot be read`);
    }
  }

  async function whole(key: string): Promise<Buffer | null> {
    const body = await objects.get(key);
    return body && buffer(body);
  }

  async function read(name: Revision): Promise<Manifest> {
    const text = await whole(`images/${name}/manifest`);
    if (text === null) throw damaged(name, 'its manifest is not there');
    if (digestOf(text) !== name) throw damaged(name, 'its manifest is not the one that it is named by');
    return parseManifest(text.toString());
  }

  /** Nothing of an image that somebody else removes meanwhile. */
  const readIfThere = (name: Revision): Promise<Manifest> =>
    read(name).catch(async (error: unknown) => {
      if ((await said()).has(name)) throw error;
      return [];
    });

  async function* unpacked(name: Revision, file: FileEntry): AsyncGenerator<Uint8Array> {
    const body = await objects.get(keyOf(file.digest));
    if (body === null) throw damaged(name, `the content of ${file.path} is not there`);
    const digest = createHash('sha256');
    try {
      yield* hashing(digest)(gunzipped(body));
    } catch (error) {
      throw isDeployError(error) ? error : damaged(name, `${file.path} cannot be read`);
    }
    if (digest.digest('hex') !== file.digest) throw damaged(name, `${file.path} is not as it was captured`);
  }

  return {
    address: objects.address,
    async list() {
      const found = await Promise.all([...(await said())].map(([name, keys]) => summary(name, keys.at(-1)!)));
      return found.flat().sort((a, b) => b.atMs - a.atMs);
    },
    read,
    async machine(name) {
      const key = (await said()).get(name)?.at(-1);
      if (key === undefined) throw damaged(name, 'it is not there');
      const text = await whole(machineKey(key));
      try {
        return text && (JSON.parse(text.toString()) as MachineState);
      } catch {
        throw damaged(name, `${machineKey(key)} cannot be read`);
      }
    },
    async lacks(digests) {
      const there = new Map((await objects.list('files/')).map((object) => [object.key, object]));
      const known = digests.flatMap((digest) => there.get(keyOf(digest)) ?? []);
      await each(
        known.filter(({ atMs }) => Date.now() - atMs > dayMs),
        ({ key }) => objects.renew(key),
      );
      return digests.filter((digest) => !there.has(keyOf(digest)));
    },
    async put(content) {
      const bytes = await buffer(content);
      const digest = digestOf(bytes);
      await uploads.begin(keyOf(digest), await packed(bytes));
      return digest;
    },
    async add(manifest, about, machine) {
      await uploads.end();
      const { text, whole: image } = summed(manifest, about);
      const said = `images/${image.name}/${String(image.atMs).padStart(15, '0')}.json`;
      await objects.put(`images/${image.name}/manifest`, Buffer.from(text));
      await objects.put(machineKey(said), Buffer.from(`${JSON.stringify(machine)}\n`));
      await objects.put(said, Buffer.from(`${JSON.stringify(image, null, 2)}\n`));
      return image;
    },
    content(name, file) {
      if (file.bytes > wholeMax) return unpacked(name, file);
      const coming = buffer(unpacked(name, file));
      // Who asked for it may have failed before it came.
      coming.catch(() => undefined);
      return (async function* () {
        yield await coming;
      })();
    },
    async remove(names, nowMs) {
      const about = await said();
      // First what makes it an image.
      const gone = names.flatMap((name) => about.get(name) ?? []);
      await objects.remove(gone);
      await objects.remove([...names.map((name) => `images/${name}/manifest`), ...gone.map(machineKey)]);
      const kept = [...about.keys()].filter((name) => !names.includes(name));
      const used = new Set<string>();
      for (const name of kept)
        for (const entry of await readIfThere(name)) if (entry.kind === 'file') used.add(keyOf(entry.digest));
      // An image that is being captured at this moment counts on what it found here, and renewed if it was a day old.
      const isForgotten = ({ key, atMs }: S3Object): boolean => !used.has(key) && nowMs - atMs > 2 * dayMs;
      await objects.remove((await objects.list('files/')).filter(isForgotten).map(({ key }) => key));
    },
    contents: (files) => ({
      from: 'urls',
      async config() {
        const digests = [...new Set(files.map(({ digest }) => digest))];
        const urls = await objects.sign(digests.map(keyOf));
        return digests.map((digest, i) => `url = "${urls[i]}"\noutput = "${digest}.gz"\n`).join('');
      },
    }),
  };
}

/** Beside what is said of an image: what else the seed had then. */
const machineKey = (said: string): string => said.replace(/\.json$/, '.machine.json');

const dayMs = 24 * 60 * 60_000;

const packed = (bytes: Uint8Array): Promise<Buffer> => promisify(gzip)(bytes);

const atOnce = 16;

/** Some at a time, and all of them. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += atOnce)
    await Promise.all(items.slice(from, from + atOnce).map(work));
}

/** Uploads go on while the next content is read; a failure is told by the next `begin`, or by `end`. */
function uploading(put: (key: string, content: Uint8Array) => Promise<void>) {
  const underWay = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | null = null;
  const check = (): void => {
    const last = failed;
    failed = null;
    if (last) throw last.error;
  };
  return {
    async begin(key: string, content: Uint8Array): Promise<void> {
      while (underWay.size >= atOnce) await Promise.race(underWay);
      check();
      const upload = put(key, content)
        .catch((error: unknown) => {
          failed ??= { error };
        })
        .finally(() => underWay.delete(upload));
      underWay.add(upload);
    },
    async end(): Promise<void> {
      await Promise.all(underWay);
      check();
    },
  };
}
