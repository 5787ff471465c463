import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buildTree } from '../../commands/build-tree.ts';
import {
  hashFiles,
  listTree,
  packFiles,
  parseHash,
  parseShape,
  type TreeEntry,
} from '../../commands/tree.ts';
import type { NodeCommand } from '../../core/command.ts';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import {
  differences,
  differencesText,
  type FileEntry,
  type ImageEntry,
  type ImageSummary,
  isPortable,
  type Manifest,
  manifestOf,
} from '../../core/image.ts';
import type { Revision } from '../../core/release.ts';
import type { Delivery, SeedSource } from '../../core/site.ts';
import type {
  Artifact,
  CaptureOptions,
  Comparison,
  Host,
  ImageArtifact,
  RunOptions,
  Source,
  Transport,
} from '../../ports.ts';
import { fileSpool } from '../spool.ts';
import { ownFiles } from './artifact.ts';
import { excluder } from './exclude.ts';
import { gunzipped } from './gzip.ts';
import { folderStore, type ImageStore } from './image-store.ts';
import { buildPrefix, sweepBuilds } from './leftovers.ts';
import { parcels } from './parcels.ts';
import { s3Store } from './s3-store.ts';

export interface SeedSourceOptions {
  readonly transport: Transport;
  /** Paths that a release links to what outlives it: no part of an image. */
  readonly linked: readonly string[];
}

/**
 * Images of a directory on a seed server, in a store. A name of a revision is `newest`, or the beginning of an image's
 * name, of four digits at least.
 */
export function seedSource(settings: SeedSource, { transport, linked }: SeedSourceOptions): Required<Source> {
  const { name, address, user, port, path, exclude, timeoutMs } = settings;
  const seed: Host = { name, address, user, port };
  const work: Work = {
    store: settings.store.kind === 's3' ? s3Store(settings.store) : folderStore(settings.store.path),
    deliver: settings.deliver,
    seed,
    from: `${name}:${path}`,
    leftOut: [...linked, ...exclude],
    transport,
    timeoutMs,
  };
  const read = <T>(what: () => Promise<T>): Promise<T> => storeRead(work.store, what);
  return {
    resolve: (ref) => read(() => resolve(work.store, ref)),
    compare: (from, to) => read(() => compare(work.store, { from, to })),
    build: ({ revision }, { signal }) => read(() => build(work, revision, signal)),
    describe: () => [`take the image from ${work.store.address}`],
    images: {
      seed,
      checks: settings.checks,
      hasGit: settings.git !== null,
      build: (ref, signal) => buildThere(work, settings, ref, signal),
      capture: (options) => read(() => capture(work, path, options)),
      list: () => read(() => work.store.list()),
      read: (image) => read(() => work.store.read(image)),
      machine: (image) => read(() => work.store.machine(image)),
      verify: (image) => read(() => verify(work.store, image)),
      remove: (images) => read(() => work.store.remove(images, Date.now())),
      readTree: (host, directory, signal) => readTree(work, host, directory, signal),
    },
  };
}

interface Work {
  readonly store: ImageStore;
  readonly deliver: Delivery;
  readonly seed: Host;
  /** The directory on the seed, for people. */
  readonly from: string;
  /** Patterns. */
  readonly leftOut: readonly string[];
  readonly transport: Transport;
  readonly timeoutMs: number;
}

/** What the file system says of the store becomes an expected failure. */
async function storeRead<T>({ address }: ImageStore, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).syscall !== 'string') throw error;
    throw failure('SOURCE_UNREACHABLE', { url: address, reason: messageOf(error) }, error);
  }
}

async function resolve(store: ImageStore, ref: string): Promise<Revision> {
  const all = await store.list();
  const found =
    ref === 'newest'
      ? all.slice(0, 1)
      : all.filter(({ name }) => /^[\da-f]{4,64}$/.test(ref) && name.startsWith(ref));
  const [image, ...others] = found;
  if (image && others.length === 0) return image.name;
  const among = others.length > 0 ? 'one image alone that begins with' : 'image';
  throw failure('REF_UNKNOWN', { ref: ref.replace(/\p{Cc}/gu, '?'), url: store.address, among });
}

/** Images in the order in which they were captured, as commits are in that of their branch. */
async function compare(
  store: ImageStore,
  { from, to }: { readonly from: Revision; readonly to: Revision },
): Promise<Comparison> {
  const all = await store.list();
  const place = (name: Revision): number => {
    const index = all.findIndex((image) => image.name === name);
    if (index < 0) throw failure('REF_UNKNOWN', { ref: name, url: store.address, among: 'image' });
    return index;
  };
  const [before, after] = [place(from), place(to)];
  const changed = differencesText(differences({ from: await store.read(from), to: await store.read(to) }));
  return {
    commits: all.slice(after, Math.max(after, before)).map(({ name, by, from: seed }) => ({
      revision: name,
      author: by,
      subject: name === to ? changed : `image of ${seed}`,
    })),
    behind: Math.max(0, after - before),
  };
}

async function build(
  { store, deliver }: Work,
  image: Revision,
  signal: AbortSignal | undefined,
): Promise<ImageArtifact> {
  signal?.throwIfAborted();
  const about = (await store.list()).find(({ name }) => name === image);
  if (!about) throw failure('REF_UNKNOWN', { ref: image, url: store.address, among: 'image' });
  const manifest = await store.read(image);
  await sweepBuilds(Date.now());
  return parcels({
    image,
    manifest,
    timeSeconds: Math.floor(about.atMs / 1000),
    content: (file) => store.content(image, file),
    known: (name) => known(store, name),
    // To send nothing needs no other way.
    contents: (files) =>
      deliver === 'stream' || files.length === 0 ? { from: 'parcel' } : store.contents(files),
    folder: await mkdtemp(join(tmpdir(), buildPrefix)),
    signal,
  });
}

const known = (store: ImageStore, name: Revision): Promise<Manifest | null> =>
  store.read(name).catch((error: unknown) => {
    if (isDeployError(error, 'IMAGE_DAMAGED')) return null;
    throw error;
  });

async function verify(store: ImageStore, image: Revision): Promise<readonly string[]> {
  const damaged: string[] = [];
  for (const entry of await store.read(image)) {
    if (entry.kind !== 'file') continue;
    try {
      for await (const _ of store.content(image, entry));
    } catch (error) {
      if (!isDeployError(error, 'IMAGE_DAMAGED')) throw error;
      damaged.push(entry.path);
    }
  }
  return damaged;
}

async function buildThere(
  { transport, seed, timeoutMs }: Work,
  { path, git, build }: SeedSource,
  ref: string,
  signal: AbortSignal | undefined,
): Promise<Revision | null> {
  if (git === null && build.length === 0) return null;
  const command = buildTree(path, { git, ref, build });
  const { status, stdout, stderr } = await transport.run(seed, { ...command, timeoutMs }, asked(signal));
  if (status !== 0)
    throw failure('BUILD_FAILED', { command: command.summary, status: `status ${status}`, output: stderr });
  return command.parse(stdout);
}

async function capture(
  work: Work,
  path: string,
  { by, commit, machine, signal }: CaptureOptions,
): Promise<ImageSummary> {
  const { store, seed, from } = work;
  const manifest = await readTree(work, seed, path, signal);
  const missing = await lacking(store, manifest);
  if (missing.length > 0) await bring(work, path, missing, signal);
  return store.add(manifest, { atMs: Date.now(), from, by, commit }, machine);
}

/** One file of each content that the store does not have. */
async function lacking(store: ImageStore, manifest: Manifest): Promise<readonly FileEntry[]> {
  const files = manifest.filter((entry) => entry.kind === 'file');
  const byDigest = [...new Map(files.map((file) => [file.digest, file])).values()];
  const missing = new Set(await store.lacks(byDigest.map(({ digest }) => digest)));
  return byDigest.filter(({ digest }) => missing.has(digest));
}

/** Content of which the digest is not the one that was read before has changed in between. */
async function bring(
  work: Work,
  path: string,
  missing: readonly FileEntry[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { store, seed, from } = work;
  const wanted = new Map(missing.map((file) => [file.path, file.digest]));
  const spool = await fileSpool.begin();
  const names = missing.map((file) => `./${file.path}\n`).join('');
  try {
    await run(work, seed, packFiles(path), { stdin: once(names), onStdout: spool.write, ...asked(signal) });
  } catch (error) {
    await spool.discard();
    throw error;
  }
  const packed = await spool.end();
  try {
    for await (const { name, content } of unpacked(packed)) {
      const digest = wanted.get(name);
      if (digest !== undefined && (await store.put(content)) === digest) wanted.delete(name);
    }
  } finally {
    await packed.discard();
  }
  if (wanted.size > 0)
    throw failure('SEED_UNFIT', {
      seed: from,
      problems: [...wanted.keys()].map((name) => `${name} changed while it was read`),
    });
}

async function* unpacked(
  packed: Artifact,
): AsyncGenerator<{ readonly name: string; readonly content: AsyncIterable<Uint8Array> }> {
  const { extract } = await import('tar-stream');
  const reader = extract();
  Readable.from(gunzipped(packed.read()))
    .on('error', (error) => reader.destroy(error))
    .pipe(reader);
  for await (const item of reader) {
    yield { name: item.header.name.replace(/^\.\//, ''), content: item as AsyncIterable<Uint8Array> };
    // What nobody read must not stand in the way of the next.
    item.resume();
  }
}

/** What a directory holds, without what is left out. Rejects with `SEED_UNFIT`. */
async function readTree(
  work: Work,
  host: Host,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const { leftOut } = work;
  const excluded = excluder([...leftOut, ...ownFiles]);
  const listed = (await linesOf(work, host, listTree(path, leftOut), asked(signal)))
    .map(parseShape)
    .filter((entry) => !excluded(entry.path));
  const problems = listed.flatMap(problemsOf);
  if (!listed.some(({ kind }) => kind === 'file')) problems.push('there is no file in it');
  if (problems.length > 0) throw failure('SEED_UNFIT', { seed: `${host.name}:${path}`, problems });
  const names = listed.flatMap((entry) => (entry.kind === 'file' ? [`./${entry.path}\0`] : [])).join('');
  const hashed = await linesOf(work, host, hashFiles(path), { stdin: once(names), ...asked(signal) });
  const digests = new Map(hashed.map(parseHash).map((one) => [one.path, one.digest]));
  return manifestOf(listed.flatMap((entry) => withDigest(entry, digests)));
}

function withDigest(entry: TreeEntry, digests: ReadonlyMap<string, string>): readonly ImageEntry[] {
  if (entry.kind === 'other') return [];
  return [entry.kind === 'file' ? { ...entry, digest: digests.get(entry.path) ?? '' } : entry];
}

const problemsOf = (entry: TreeEntry): string[] => {
  const texts = entry.kind === 'link' ? [entry.path, entry.target] : [entry.path];
  if (entry.kind === 'other') return [`${entry.path} is neither a file nor a directory nor a link`];
  return !texts.every(isPortable)
    ? [
        `${JSON.stringify(entry.path)} has a character in its name, or in where it leads, that is not portable`,
      ]
    : [];
};

const asked = (signal: AbortSignal | undefined): Pick<RunOptions, 'signal'> => (signal ? { signal } : {});

const once = (text: string) =>
  async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  };

/** A listing may be of any length. */
async function linesOf(
  work: Work,
  host: Host,
  command: NodeCommand,
  options: RunOptions,
): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  await run(work, host, command, { ...options, onStdout: (chunk) => void chunks.push(chunk) });
  return Buffer.concat(chunks).toString().split('\n').slice(0, -1);
}

async function run(
  { transport, timeoutMs }: Work,
  host: Host,
  command: NodeCommand,
  options: RunOptions,
): Promise<void> {
  const { status, stderr } = await transport.run(host, { ...command, timeoutMs }, options);
  if (status !== 0)
    throw failure('COMMAND_FAILED', { node: host.name, command: command.summary, status, output: stderr });
}
