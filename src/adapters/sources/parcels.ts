import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import {
  type FileEntry,
  type ImageEntry,
  type Manifest,
  manifestLine,
  parseManifest,
} from '../../core/image.ts';
import type { Revision } from '../../core/release.ts';
import type { HeldBase, ImageArtifact, Parcel, ParcelContents } from '../../ports.ts';
import { readPacked, textEntry, writePacked } from './artifact.ts';
import { gzipped } from './gzip.ts';
import { type Entry, tarred } from './tar.ts';

export interface Parcels extends Pick<ImageArtifact, 'image' | 'timeSeconds'> {
  readonly manifest: Manifest;
  content(file: FileEntry): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** The manifest of another image; null if it is not known here. */
  known(image: Revision): Promise<Manifest | null>;
  /** Where the content of these files is for a node that lacks them. */
  readonly contents: (files: readonly FileEntry[]) => ParcelContents;
  /** Of this build alone; deleted by `discard`. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

/** What nodes are sent of a build that is known file by file: those that have the same are sent the same bytes. */
export function parcels(build: Parcels): ImageArtifact {
  const { image, timeSeconds, folder } = build;
  const made = new Map<string, Promise<Parcel | null>>();
  let files = 0;
  return {
    image,
    timeSeconds,
    since(base) {
      const key = base === null ? '' : [base.image, base.told ?? '', ...base.spoilt].join('\n');
      const known = made.get(key);
      if (known) return known;
      files += 1;
      const parcel = packed(build, base, join(folder, `${files}.tar.gz`));
      made.set(key, parcel);
      // It may go better for whoever asks again.
      parcel.catch(() => made.delete(key));
      return parcel;
    },
    async discard() {
      await Promise.allSettled(made.values());
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function packed(build: Parcels, base: HeldBase | null, file: string): Promise<Parcel | null> {
  const before = base && (toldBy(base) ?? (await build.known(base.image)));
  if (base && !before) return null;
  const changes = changesOf({ from: before ?? [], to: build.manifest, spoilt: base?.spoilt ?? [] });
  const contents = build.contents(changes.added.filter((entry) => entry.kind === 'file'));
  const entries = tarred(parcelEntries(build, changes, contents.from), build.timeSeconds);
  const written = await writePacked(file, gzipped(entries, before ? 'small' : 'quick')).catch(
    (error: unknown) => {
      build.signal?.throwIfAborted();
      if (isDeployError(error)) throw error;
      throw failure('BUILD_FAILED', {
        command: `pack ${build.image}`,
        status: 'an error',
        output: messageOf(error),
      });
    },
  );
  return { ...written, contents, read: () => readPacked(file), discard: () => rm(file, { force: true }) };
}

/** What the node says is believed if it has the right name. */
function toldBy({ told, image }: HeldBase): Manifest | null {
  if (told === undefined) return null;
  const text = gunzipSync(Buffer.from(told, 'base64'));
  return createHash('sha256').update(text).digest('hex') === image ? parseManifest(text.toString()) : null;
}

interface Changes {
  readonly removed: Manifest;
  readonly added: Manifest;
}

/** What was spoilt is removed and added again. */
function changesOf({
  from,
  to,
  spoilt,
}: {
  readonly from: Manifest;
  readonly to: Manifest;
  readonly spoilt: readonly string[];
}): Changes {
  const bad = new Set(spoilt);
  const lines = (manifest: Manifest) => new Set(manifest.map(manifestLine));
  const [before, after] = [lines(from), lines(to)];
  const stays = (entry: ImageEntry, other: ReadonlySet<string>): boolean =>
    other.has(manifestLine(entry)) && !bad.has(entry.path);
  return {
    removed: from.filter((entry) => !stays(entry, after)),
    added: to.filter((entry) => !stays(entry, before)),
  };
}

/** As `receiveImage` reads them. */
async function* parcelEntries(
  { content, signal }: Parcels,
  { removed, added }: Changes,
  from: ParcelContents['from'],
): AsyncGenerator<Entry> {
  const lines = (manifest: Manifest): string => manifest.map((entry) => `${manifestLine(entry)}\n`).join('');
  yield textEntry('removed', lines(removed));
  yield textEntry('added', lines(added));
  for (const entry of added) if (entry.kind === 'link') yield { ...entry, path: `tree/${entry.path}` };
  if (from !== 'parcel') return;
  const files = added.filter((entry) => entry.kind === 'file');
  const coming: ReturnType<typeof content>[] = [];
  for (const [i, { path, mode, bytes }] of files.entries()) {
    signal?.throwIfAborted();
    for (const file of files.slice(coming.length, i + ahead)) coming.push(content(file));
    yield { kind: 'file', path: `tree/${path}`, mode: Number.parseInt(mode, 8), bytes, content: coming[i]! };
  }
}

/** So many files are asked for before they are written: a store may be far. */
const ahead = 16;
