import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createRepository, type Repository } from '../lab/repository.ts';

/** WordPress in a git repository, with two versions that take turns. */
export interface Blog {
  readonly folder: string;
  /** Commits the version that main does not have, and reads it once, so that all find it in the same caches. */
  nextVersion(): Promise<string>;
  readonly files: number;
  readonly changed: number;
}

/** A release of its own answers for itself: the directory that its code was compiled in, and the commit. */
const healthPage = `<?php
header('Content-Type: text/plain');
echo 'release ', basename(__DIR__), ' revision ', trim(file_get_contents(__DIR__ . '/REVISION')), "\\n";
`;

export async function createBlog(folder: string): Promise<Blog> {
  const run = promisify(execFile);
  const repository = await createRepository(folder, []);
  // Debian links what other packages have, too; a release is whole.
  await run('cp', ['-RL', '/usr/share/wordpress/.', folder]);
  const first = await repository.commit({ 'health.php': healthPage });
  await run('git', ['-C', folder, 'repack', '-adq']);
  const original = await firstFiles(join(folder, 'wp-includes'), changed);
  const { stdout } = await run('git', ['-C', folder, 'ls-tree', '-r', '--name-only', first]);
  return { folder, nextVersion: alternating(repository, original), files: lines(stdout).length, changed };
}

const changed = 60;

const lines = (text: string): readonly string[] => text.trim().split('\n');

async function firstFiles(folder: string, count: number): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.php')).sort();
  const chosen = names.slice(0, count);
  return Object.fromEntries(
    await Promise.all(
      chosen.map(
        async (name) => [`wp-includes/${name}`, await readFile(join(folder, name), 'utf8')] as const,
      ),
    ),
  );
}

function alternating(repository: Repository, original: Readonly<Record<string, string>>) {
  let isSecond = false;
  return async (): Promise<string> => {
    isSecond = !isSecond;
    const mark = isSecond ? '\n// The second version.\n' : '';
    const files = Object.entries(original).map(([path, text]) => [path, text + mark]);
    const revision = await repository.commit(Object.fromEntries(files));
    await promisify(execFile)('git', ['-C', repository.folder, 'archive', '-o', '/dev/null', revision]);
    return revision;
  };
}
