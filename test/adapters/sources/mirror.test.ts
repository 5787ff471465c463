import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readlink, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Git, gitRunner } from '../../../src/adapters/sources/git-process.ts';
import { type Mirror, mirrorOf } from '../../../src/adapters/sources/mirror.ts';
import { remoteOf } from '../../../src/adapters/sources/remote.ts';

let top: string;
let commit: string;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'mirror-'));
  const git = (...args: string[]) => execFileSync('git', args, { cwd: top, encoding: 'utf8' }).trim();
  git('init', '--quiet', '--initial-branch', 'main', 'site');
  const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
  git('-C', 'site', ...author, 'commit', '--quiet', '--allow-empty', '--message', 'x');
  commit = git('-C', 'site', 'rev-parse', 'HEAD');
});

afterEach(() => rm(top, { recursive: true, force: true }));

const remote = () => remoteOf(join(top, 'site'));
const git: Git = (args, place) => gitRunner({ PATH: process.env.PATH, HOME: top }, remote())(args, place);
const mirrorWith = (run: Git): Mirror => mirrorOf(remote(), { cacheDir: top, run });
const entries = async () => (await readdir(join(top, 'mirrors'))).sort();

/** git whose clones wait for each other as they end, so that all of them come to the same place at once. */
function together(clones: number): Git {
  let open = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  let made = 0;
  return async (args, place) => {
    const answer = await git(args, place);
    if (args[0] === 'clone') {
      made += 1;
      if (made === clones) open();
      await all;
    }
    return answer;
  };
}

async function refreshAll(mirrors: readonly Mirror[]): Promise<string> {
  const copies = await Promise.all(
    mirrors.map(async (mirror) => {
      await mirror.refresh();
      const copy = await readlink(mirror.directory);
      expect(await mirror.find('main')).toBe(commit);
      return copy;
    }),
  );
  expect(new Set(copies).size).toBe(1);
  return copies[0]!;
}

const eight = (run: Git) => Array.from({ length: 8 }, () => mirrorWith(run));

test('of those who make the first copy at once, one makes the mirror, and no other ever takes its place', async () => {
  const copy = await refreshAll(eight(together(8)));
  expect(await entries()).toEqual([copy.split('.')[0], copy]);
});

test('a copy that is made anew takes the place of the broken one, which stays until nobody can still read it', async () => {
  const mirror = mirrorWith(git);
  const first = await refreshAll([mirror]);
  await rm(join(mirror.directory, 'HEAD'));
  await age(first);
  const second = await refreshAll([mirror]);
  await age(second);
  await mirror.refresh();
  expect(await entries()).toEqual([first.split('.')[0], ...[first, second].sort()]);

  await age(first);
  await mirror.refresh();
  expect(await entries()).toEqual([first.split('.')[0], second]);
});

async function age(copy: string): Promise<void> {
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  await utimes(join(top, 'mirrors', copy), yesterday, yesterday);
}

test('a copy that another made meanwhile stays', async () => {
  const mirror = mirrorWith(git);
  await mirror.refresh();
  await rm(join(mirror.directory, 'HEAD'));
  let other = '';
  const slow: Git = async (args, place) => {
    const answer = await git(args, place);
    if (args[0] === 'clone') other = await refreshAll([mirror]);
    return answer;
  };
  expect(await refreshAll([mirrorWith(slow)])).toBe(other);
});
