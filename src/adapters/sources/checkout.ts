import {
  createReadStream,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { join, sep } from 'node:path';
import type { Git } from './git-process.ts';
import { type Entry, plainMode } from './tar.ts';

/** A commit checked out into a directory of its own, for builds to work in. */
export interface Checkout {
  readonly directory: string;
  /** What `git archive` leaves out of this commit (attribute `export-ignore`); directories end in '/'. */
  readonly ignored: ReadonlySet<string>;
}

export interface CheckoutOptions {
  readonly git: Git;
  /** The repository with the commit. */
  readonly mirror: string;
  /** Its address: submodules may have theirs relative to it. */
  readonly url: string;
  readonly revision: string;
  readonly submodules: boolean;
  /** Where to; it does not exist yet. */
  readonly directory: string;
  readonly signal: AbortSignal | undefined;
}

/** Checks out a commit, with its submodules at the commits that it records. Rejects with what git said. */
export async function checkOut(options: CheckoutOptions): Promise<Checkout> {
  const { git, mirror, url, revision, submodules, directory, signal } = options;
  await git(['clone', '--shared', '--no-checkout', '--', mirror, directory], { cwd: mirror, signal });
  const inside = (...args: readonly string[]) => git(args, { cwd: directory, signal });
  await inside('config', 'remote.origin.url', url);
  await inside('checkout', '--detach', revision);
  if (submodules) await inside('submodule', 'update', '--init', '--recursive', '--jobs', '4');
  return { directory, ignored: await exportIgnored(options) };
}

/** Asked before a build can change the attributes. */
async function exportIgnored({ git, directory, signal }: CheckoutOptions): Promise<ReadonlySet<string>> {
  const files = split(await git(['ls-files', '-z'], { cwd: directory, signal }));
  if (files.length === 0) return new Set();
  const paths = [...new Set(files.flatMap(withParents))];
  const input = paths.map((path) => `${path}\0`).join('');
  const answer = split(
    await git(['check-attr', '-z', '--stdin', 'export-ignore'], { cwd: directory, input, signal }),
  );
  // Three fields each: path, attribute, value.
  return new Set(answer.filter((_, i) => i % 3 === 0 && answer[i + 2] === 'set'));
}

const split = (output: string): readonly string[] => output.split('\0').filter((field) => field !== '');

const withParents = (path: string): readonly string[] =>
  path.split('/').map((_, i, names) => (i + 1 < names.length ? `${names.slice(0, i + 1).join('/')}/` : path));

/**
 * The tree below `directory` of a checkout, in the order of names. Links are kept as they stand and never followed, `.git` is
 * left out. Null if `directory` is not a directory in there.
 */
export function checkoutEntries(
  { directory: top, ignored }: Checkout,
  directory: string,
): Iterable<Entry> | null {
  const root = join(top, directory);
  if (!isDirectoryInside(top, root)) return null;
  const prefix = directory === '.' ? '' : `${directory}/`;
  return entriesOf({ root, path: '', skips: (path) => ignored.has(`${prefix}${path}`) });
}

/** A build may have put a link in the place of the directory: one that leads out would pack the operator's files. */
function isDirectoryInside(top: string, root: string): boolean {
  try {
    const real = realpathSync(root);
    return lstatSync(real).isDirectory() && `${real}${sep}`.startsWith(`${realpathSync(top)}${sep}`);
  } catch {
    return false;
  }
}

interface Below {
  readonly root: string;
  /** Relative to the root; '' for the root. */
  readonly path: string;
  readonly skips: (path: string) => boolean;
}

/**
 * Files are read synchronously: for tens of thousands of small ones that takes a fraction of the time, and whoever packs
 * them pauses between blocks.
 */
function* entriesOf({ root, path: parent, skips }: Below): Generator<Entry> {
  for (const name of readdirSync(join(root, parent)).sort()) {
    const path = parent === '' ? name : `${parent}/${name}`;
    const stats = lstatSync(join(root, path));
    if (name === '.git' || skips(stats.isDirectory() ? `${path}/` : path)) continue;
    const entry = toEntry(path, join(root, path), stats);
    if (entry) yield entry;
    if (stats.isDirectory()) yield* entriesOf({ root, path, skips });
  }
}

/** Null for a socket or a pipe: what a program left behind while it ran is no content. */
function toEntry(path: string, file: string, stats: Stats): Entry | null {
  if (stats.isDirectory()) return { path, kind: 'directory' };
  if (stats.isSymbolicLink()) return { path, kind: 'link', target: readlinkSync(file) };
  if (!stats.isFile()) return null;
  return {
    path,
    kind: 'file',
    mode: plainMode(stats.mode),
    bytes: stats.size,
    content: stats.size > wholeMax ? streamed(file) : whole(file),
  };
}

/** Larger files are streamed. */
const wholeMax = 1024 * 1024;

// Generators, so that nothing is opened before it is read.
function* whole(file: string): Generator<Uint8Array> {
  yield readFileSync(file);
}

async function* streamed(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: wholeMax });
}
