/** A file, directory or link of a release. */
export type Entry = { readonly path: string } & (
  | {
      readonly kind: 'file';
      /** Its permission bits. */
      readonly mode: number;
      readonly bytes: number;
      readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string }
);

/**
 * A tar archive in the GNU format, in which GNU tar, bsdtar and BusyBox all read paths of any length. All entries are
 * root's and have one time: the same entries give the same bytes.
 */
export async function* tarred(
  entries: AsyncIterable<Entry>,
  timeSeconds: number,
): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    yield headers(entry, timeSeconds);
    if (entry.kind !== 'file') continue;
    let written = 0;
    for await (const chunk of entry.content) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== entry.bytes) throw new Error(`${entry.path} changed while it was packed`);
    yield padding(entry.bytes);
  }
  yield new Uint8Array(2 * blockBytes);
}

/** As git keeps them: whether a file can be run, and no more. */
export const plainMode = (mode: number): number => ((mode & 0o100) === 0 ? 0o644 : 0o755);

const blockBytes = 512;
const padding = (bytes: number): Uint8Array =>
  new Uint8Array((blockBytes - (bytes % blockBytes)) % blockBytes);

const typeFlags = { file: '0', link: '2', directory: '5' } as const;

function headers(entry: Entry, timeSeconds: number): Uint8Array {
  const path = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  const target = entry.kind === 'link' ? entry.target : '';
  return Buffer.concat([
    longName('L', path),
    longName('K', target),
    header({
      path,
      target,
      mode: entry.kind === 'file' ? entry.mode : 0o755,
      bytes: entry.kind === 'file' ? entry.bytes : 0,
      timeSeconds,
      type: typeFlags[entry.kind],
    }),
  ]);
}

/** A name that its field cannot hold goes before the entry, as the content of an entry of its own. */
function longName(type: 'L' | 'K', name: string): Uint8Array {
  const content = Buffer.from(`${name}\0`);
  if (content.length - 1 <= nameBytes) return new Uint8Array(0);
  const fields = {
    path: '././@LongLink',
    target: '',
    mode: 0o644,
    bytes: content.length,
    timeSeconds: 0,
    type,
  };
  return Buffer.concat([header(fields), content, padding(content.length)]);
}

const nameBytes = 100;

interface Header {
  readonly path: string;
  readonly target: string;
  readonly mode: number;
  readonly bytes: number;
  readonly timeSeconds: number;
  readonly type: string;
}

/** Offsets: GNU tar manual, "Basic Tar Format". */
function header({ path, target, mode, bytes, timeSeconds, type }: Header): Uint8Array {
  const block = Buffer.alloc(blockBytes);
  block.set(Buffer.from(path).subarray(0, nameBytes), 0);
  writeNumber(block, { at: 100, digits: 7, value: mode });
  writeNumber(block, { at: 108, digits: 7, value: 0 });
  writeNumber(block, { at: 116, digits: 7, value: 0 });
  writeNumber(block, { at: 124, digits: 11, value: bytes });
  writeNumber(block, { at: 136, digits: 11, value: timeSeconds });
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.set(Buffer.from(target).subarray(0, nameBytes), 157);
  block.write('ustar  \0', 257, 'latin1');
  block.write('root\0', 265, 'latin1');
  block.write('root\0', 297, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Octal digits; a number with more of them than the field holds is written in base 256, marked by the first bit. */
function writeNumber(
  block: Buffer,
  { at, digits, value }: { at: number; digits: number; value: number },
): void {
  const octal = value.toString(8).padStart(digits, '0');
  if (octal.length <= digits) {
    block.write(`${octal}\0`, at, 'latin1');
    return;
  }
  block.writeUInt8(0x80, at);
  block.writeBigUInt64BE(BigInt(value), at + digits + 1 - 8);
}
