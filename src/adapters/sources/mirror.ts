import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isRevision, type Revision } from '../../core/release.ts';
import type { Git } from './git-process.ts';
import type { Remote } from './remote.ts';

/**
 * A bare copy of a repository's branches and tags on the operator's machine, one for each URL, kept between runs.
 * Several processes may use it at once: it appears whole, by a rename, and git guards its own updates.
 */
export interface Mirror {
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
      if (!isWhole(directory)) return clone({ remote, directory, run, replace: false, signal });
      try {
        await fetchAll(signal);
      } catch {
        signal?.throwIfAborted();
        // Out of reach, or in each other's way with another process, or broken: this tells the first from the rest.
        await run(['ls-remote', '--', remote.url, 'HEAD'], { cwd: dirname(directory), signal });
        await fetchAll(signal).catch(() => {
          signal?.throwIfAborted();
          return clone({ remote, directory, run, replace: true, signal });
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

interface Clone {
  readonly remote: Remote;
  readonly directory: string;
  readonly run: Git;
  /** Whether a whole mirror that is there must go: else the first of two processes wins. */
  readonly replace: boolean;
  readonly signal: AbortSignal | undefined;
}

async function clone({ remote, directory, run, replace, signal }: Clone): Promise<void> {
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await sweep(directory);
  const fresh = `${directory}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await run(['clone', '--quiet', '--bare', '--', remote.url, fresh], { cwd: parent, signal });
    await publish(fresh, directory, replace);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function publish(fresh: string, directory: string, replace: boolean): Promise<void> {
  if (!replace && isWhole(directory)) return;
  const broken = `${fresh}.broken.tmp`;
  await rename(directory, broken).catch(() => undefined);
  await rename(fresh, directory).catch((error: unknown) => {
    if (!isWhole(directory)) throw error;
  });
  await rm(broken, { recursive: true, force: true });
}

/** What a clone that was killed left behind. */
async function sweep(directory: string): Promise<void> {
  const parent = dirname(directory);
  const left = (await readdir(parent)).filter((name) => name.startsWith(`${basename(directory)}.`));
  for (const name of left) {
    const { mtimeMs } = await stat(join(parent, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > abandonedMs) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** No clone takes longer. */
const abandonedMs = 24 * 3_600_000;
