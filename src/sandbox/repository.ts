import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type ApplicationSettings, applicationFiles } from './application.ts';

/**
 * Makes a git repository in `folder` (which must not exist) with one commit for each version of the application,
 * tagged `v1`, `v2`, … in that order, `main` at the last. The same versions give the same commits on every machine.
 */
export async function createRepository(
  folder: string,
  versions: readonly ApplicationSettings[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await git(folder, 'init', '--quiet', '--initial-branch=main');
  for (const settings of versions) await commitVersion(folder, settings);
}

/** Three versions that boot in `bootMs`; the third starts but fails its check. */
export const demoVersions = (bootMs = 1000): readonly ApplicationSettings[] => [
  { version: 1, bootMs, greeting: 'Hello' },
  { version: 2, bootMs, greeting: 'Good morning' },
  { version: 3, bootMs },
];

async function commitVersion(folder: string, settings: ApplicationSettings): Promise<void> {
  for (const [path, text] of Object.entries(applicationFiles(settings))) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await git(folder, 'add', '--all');
  await git(folder, 'commit', '--quiet', '--message', `Version ${settings.version}`);
  await git(folder, 'tag', `v${settings.version}`);
}

const git = (folder: string, ...words: readonly string[]): Promise<unknown> =>
  promisify(execFile)('git', words, { cwd: folder, env: { PATH: process.env.PATH, ...gitEnv } });

/** Author and dates are fixed, and the user's own git settings (hooks, signing) have no say. */
const gitEnv = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Sandbox',
  GIT_AUTHOR_EMAIL: 'sandbox@example.org',
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_NAME: 'Sandbox',
  GIT_COMMITTER_EMAIL: 'sandbox@example.org',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
};
