import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { applicationFiles, type Version } from './application.ts';

/** A git repository that a test makes and moves. */
export interface Repository {
  readonly folder: string;
  /** Commits `files` on top of main, and tags the commit if there is a tag. Returns its revision. */
  commit(files: Readonly<Record<string, string>>, tag?: string): Promise<string>;
  revision(ref: string): Promise<string>;
}

export const versions: readonly Version[] = [
  { tag: 'good-1' },
  { tag: 'good-2' },
  { tag: 'good-3' },
  { tag: 'good-4' },
  { tag: 'broken', health: 500 },
  { tag: 'erring', errsAfter: 4 },
  { tag: 'slowstart', bootMs: 8000 },
  { tag: 'badbuild', build: 3 },
  { tag: 'badrestart', restart: 1 },
];

/** A repository in `folder` with a commit and a tag for each version, each with `extra` files beside its own. */
export async function createRepository(
  folder: string,
  tags: readonly Version[] = versions,
  extra: Readonly<Record<string, string>> = {},
): Promise<Repository> {
  await mkdir(folder, { recursive: true });
  const git = async (...words: readonly string[]): Promise<string> =>
    (
      await promisify(execFile)('git', words, { cwd: folder, env: { PATH: process.env.PATH, ...identity } })
    ).stdout.trim();
  const repository: Repository = {
    folder,
    async commit(files, tag) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
        if (path.startsWith('bin/')) await chmod(join(folder, path), 0o755);
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', `Make ${tag ?? 'a change'}`);
      if (tag !== undefined) await git('tag', tag);
      return repository.revision('HEAD');
    },
    revision: (ref) => git('rev-parse', `${ref}^{commit}`),
  };
  await git('init', '--quiet', '--initial-branch=main');
  for (const version of tags)
    await repository.commit({ ...applicationFiles(version), ...extra }, version.tag);
  return repository;
}

/** The user's own git settings have no say. */
const identity = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Lab',
  GIT_AUTHOR_EMAIL: 'lab@example.org',
  GIT_COMMITTER_NAME: 'Lab',
  GIT_COMMITTER_EMAIL: 'lab@example.org',
};
