import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readdir, readlink, rename, rm, symlink, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isRevision, type Revision } from '../../core/release.ts';
import type { Git } from './git-process.ts';
import type { Remote } from './remote.ts';

/**
 * A bare copy of a repository's branches and tags on the operator's machine, one for each URL, kept between runs.
 * Several processes may use it at once: git guards its own updates, and a copy that must be made anew takes the place
 * of the old one whole, while the old one stays for those that still read it.
 */
export interface Mirror {
  /** A link to the copy. */
  readonly directory: string;
  /** The commit that a name stands for in the copy as it is, or null. */
  find(name: string, signal?: AbortSignal): Promise<Revision | null>;
  /** Brings the copy up to date, or makes it anew if it is missing or broken. Rejects with what git said. */
  refresh(signal?: AbortSignal): Promise<void>;
  /** Asks for one commit that no branch or tag leads to, such as that of a pull request. The server may refuse. */
  fetchCommit(revision: Revision, signal?: AbortSignal): Promise<void>;
  /** Runs git in it. */
  git(
    args: readonly string[],
    options?: { readonly input?: string; readonly signal?: AbortSignal | undefined },
  ): Promise<string>;
}

export function mirrorOf(remote: Remote, { cacheDir, run }: { cacheDir: string; run: Git }): Mirror {
  const key = createHash('sha256').update(remote.url).digest('hex').slice(0, 16);
  const directory = join(cacheDir, 'mirrors', key);
  const git: Mirror['git'] = (args, options) => run(args, { cwd: directory, gitDir: directory, ...options });
  const fetchAll = (signal?: AbortSignal) =>
    git(['fetch', '--prune', '--no-tags', 'origin', ...branchesAndTags], { signal });

  return {
    directory,
    git,

    async find(name, signal) {
      if (!isWhole(directory)) return null;
      const input = candidates(name)
        .map((candidate) => `${candidate}^{commit}\n`)
        .join('');
      const answer = await git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], { input, signal });
      const commit = /^([\da-f]+) commit$/m.exec(answer)?.[1] ?? '';
      return isRevision(commit) ? commit : null;
    },

    async refresh(signal) {
      await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
      await sweep(directory);
      const found = await copyAt(directory);
      const cloneAnew = () => clone({ remote, directory, found, run, signal });
      if (!isWhole(directory)) return cloneAnew();
      try {
        await fetchAll(signal);
      } catch {
        signal?.throwIfAborted();
        // Out of reach, or in each other's way with another process, or broken: this tells the first from the rest.
        await run(['ls-remote', '--', remote.url, 'HEAD'], { cwd: dirname(directory), signal });
        await fetchAll(signal).catch(() => {
          signal?.throwIfAborted();
          return cloneAnew();
        });
      }
    },

    async fetchCommit(revision, signal) {
      await git(['fetch', '--no-tags', 'origin', revision], { signal });
    },
  };
}

const branchesAndTags = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];

/**
 * In order of precedence: a full commit, a full name of a ref, a tag, a branch (git itself takes a tag before a branch
 * of the same name, gitrevisions(7)), and an abbreviated commit.
 */
function candidates(name: string): readonly string[] {
  if (isRevision(name) || name.startsWith('refs/')) return [name];
  return [`refs/tags/${name}`, `refs/heads/${name}`, ...(/^[\da-f]{4,64}$/i.test(name) ? [name] : [])];
}

const isWhole = (directory: string): boolean => existsSync(join(directory, 'HEAD'));

/** The name of the copy that is the mirror; null if there is none yet. */
const copyAt = (directory: string): Promise<string | null> => readlink(directory).catch(() => null);

interface Clone {
  readonly remote: Remote;
  readonly directory: string;
  /** The copy that was missing or broken: of several processes that find it so, the first to replace it wins. */
  readonly found: string | null;
  readonly run: Git;
  readonly signal: AbortSignal | undefined;
}

async function clone({ remote, directory, found, run, signal }: Clone): Promise<void> {
  const copy = `${directory}.${randomBytes(6).toString('hex')}`;
  let published = false;
  try {
    await run(['clone', '--quiet', '--bare', '--', remote.url, copy], { cwd: dirname(directory), signal });
    published = await publish(basename(copy), directory, found);
  } finally {
    if (!published) await rm(copy, { recursive: true, force: true });
  }
}

/** Whether the copy became the mirror: it does not if another process was faster. */
async function publish(copy: string, directory: string, found: string | null): Promise<boolean> {
  if (found === null) return linked(copy, directory);
  if ((await copyAt(directory)) !== found) return false;
  // Its age begins here: once it is no longer the mirror, an old one would be swept away.
  const now = new Date();
  await utimes(join(dirname(directory), found), now, now).catch(() => undefined);
  const link = `${join(dirname(directory), copy)}.link`;
  await symlink(copy, link);
  await rename(link, directory);
  return true;
}

const linked = (copy: string, directory: string): Promise<boolean> =>
  symlink(copy, directory).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      return false;
    },
  );

/** Copies that were replaced, and what a clone that was killed left behind. */
async function sweep(directory: string): Promise<void> {
  const parent = dirname(directory);
  const current = await copyAt(directory);
  for (const name of await readdir(parent)) {
    if (name === current || !name.startsWith(`${basename(directory)}.`)) continue;
    const { mtimeMs } = await lstat(join(parent, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > abandonedMs) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** No clone takes longer, nor does a command that reads a copy. */
const abandonedMs = 24 * 3_600_000;
