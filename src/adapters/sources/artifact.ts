import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Revision } from '../../core/release.ts';
import type { Artifact } from '../../ports.ts';
import { gzipped } from './gzip.ts';
import { type Entry, tarred } from './tar.ts';

export interface PackOptions {
  /** Made anew, alone in a directory that goes with it. */
  readonly file: string;
  readonly revision: Revision;
  /** The time of the commit, in seconds since the epoch. */
  readonly timeSeconds: number;
}

/** Packs a release, with the files that say which one it is. */
export async function pack(
  entries: Iterable<Entry>,
  { file, revision, timeSeconds }: PackOptions,
): Promise<Artifact> {
  async function* contents(): AsyncGenerator<Entry> {
    yield textEntry('REVISION', `${revision}\n`);
    yield textEntry('REVISION_TIME', `${timeSeconds}\n`);
    yield* entries;
  }
  const written = await writePacked(file, gzipped(tarred(contents(), timeSeconds)));
  return {
    ...written,
    read: () => readPacked(file),
    discard: () => rm(dirname(file), { recursive: true, force: true }),
  };
}

/** Written into every release, to say which one it is. */
export const ownFiles: readonly string[] = ['REVISION', 'REVISION_TIME'];

export const readPacked = (file: string): AsyncIterable<Uint8Array> =>
  createReadStream(file, { highWaterMark: readBytes });

const readBytes = 1024 * 1024;

export function textEntry(path: string, text: string): Entry {
  const content = Buffer.from(text);
  return { path, kind: 'file', mode: 0o644, bytes: content.length, content: [content] };
}

export async function writePacked(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<Pick<Artifact, 'bytes' | 'digest'>> {
  const digest = createHash('sha256');
  let length = 0;
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const chunk of bytes) {
      digest.update(chunk);
      length += chunk.length;
      await handle.writeFile(chunk);
    }
  } finally {
    await handle.close();
  }
  return { bytes: length, digest: digest.digest('hex') };
}
