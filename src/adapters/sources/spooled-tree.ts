import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { assert } from '../../core/assert.ts';
import { type FileEntry, type ImageEntry, isPortable, type Manifest, manifestOf } from '../../core/image.ts';
import type { Entry } from './tar.ts';

/** The entries of a build, read once and kept in a file: whatever is packed of them later is the same bytes. */
export interface SpooledTree {
  /** Null if a name could not be read back from a manifest. */
  readonly manifest: Manifest | null;
  content(file: Pick<FileEntry, 'path'>): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** As they came. */
  entries(): Iterable<Entry>;
}

export async function spoolTree(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  { file, signal }: { readonly file: string; readonly signal: AbortSignal | undefined },
): Promise<SpooledTree> {
  const found: { readonly entry: Entry; readonly digest: string }[] = [];
  const starts = new Map<string, Piece>();
  const handle = await open(file, 'wx', 0o600);
  try {
    const out = appender(handle);
    for await (const entry of entries) {
      signal?.throwIfAborted();
      const start = out.length();
      const digest = createHash('sha256');
      if (entry.kind === 'file')
        for await (const chunk of entry.content) {
          digest.update(chunk);
          await out.add(chunk);
        }
      starts.set(entry.path, { start, bytes: out.length() - start });
      found.push({ entry, digest: digest.digest('hex') });
    }
    await out.end();
  } finally {
    await handle.close();
  }
  const content: SpooledTree['content'] = ({ path }) => {
    const piece = starts.get(path);
    assert(piece, 'what is packed was spooled');
    return piece.bytes > blockBytes ? streamed(file, piece) : whole(file, piece);
  };
  return {
    manifest: found.every(({ entry }) => isFit(entry)) ? manifestOf(found.map(imageEntry)) : null,
    content,
    entries: () =>
      found.map(({ entry }) => (entry.kind === 'file' ? { ...entry, content: content(entry) } : entry)),
  };
}

interface Piece {
  readonly start: number;
  readonly bytes: number;
}

// Generators, so that nothing is opened before it is read.
function* whole(file: string, { start, bytes }: Piece): Generator<Uint8Array> {
  const content = Buffer.alloc(bytes);
  const opened = openSync(file, 'r');
  try {
    readSync(opened, content, { position: start });
  } finally {
    closeSync(opened);
  }
  yield content;
}

async function* streamed(file: string, { start, bytes }: Piece): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { start, end: start + bytes - 1, highWaterMark: blockBytes });
}

const isFit = (entry: Entry): boolean =>
  isPortable(entry.path) && (entry.kind !== 'link' || isPortable(entry.target));

const imageEntry = ({ entry, digest }: { readonly entry: Entry; readonly digest: string }): ImageEntry => {
  const { path } = entry;
  if (entry.kind === 'directory') return { kind: 'directory', path, mode: '755' };
  if (entry.kind === 'link') return { kind: 'link', path, target: entry.target };
  return { kind: 'file', path, mode: entry.mode.toString(8), bytes: entry.bytes, digest };
};

/** Small chunks are written together. */
function appender(handle: FileHandle): {
  length(): number;
  add(chunk: Uint8Array): Promise<void>;
  end(): Promise<void>;
} {
  let length = 0;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const write = async (): Promise<void> => {
    await handle.writeFile(Buffer.concat(waiting));
    waiting = [];
    waitingBytes = 0;
  };
  return {
    length: () => length,
    async add(chunk) {
      waiting.push(chunk);
      waitingBytes += chunk.length;
      length += chunk.length;
      if (waitingBytes >= blockBytes) await write();
    },
    end: write,
  };
}

const blockBytes = 1024 * 1024;
