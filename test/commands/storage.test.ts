import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { removeReleases } from '../../src/commands/cleanup.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { receive } from '../../src/commands/receive.ts';
import { setUp } from '../../src/commands/setup.ts';
import { lookAtStorage, markStorage } from '../../src/commands/storage.ts';
import { within } from '../../src/commands/within.ts';
import type { Site } from '../../src/core/site.ts';
import type { NodeStorage } from '../../src/core/storage.ts';
import { node, release, releaseId } from '../core/fleet.ts';
import { artifact, nodeFolder } from './node-folder.ts';

const web1 = node('web1');

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sluice-storage-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A node whose uploads are in a folder outside of its `deployTo`. */
function withStorage(more: Partial<Site> = {}) {
  const path = folder();
  const shared = { path, kind: null, linkedDirs: ['uploads'] };
  const place = nodeFolder({ linkedDirs: ['uploads', 'log'], shared, ...more });
  const look = (): NodeStorage => place.run(lookAtStorage(web1, place.site)).result;
  return { path, place, look };
}

test('a look says what is there, on which mount, and changes nothing', () => {
  const { path, look } = withStorage();
  expect(look().places).toMatchObject([{ dir: 'uploads', path: `${path}/uploads`, state: 'absent' }]);
  expect(look().places[0]?.reason).toBe('No such file or directory');
  expect(readdirSync(path)).toEqual([]);

  mkdirSync(join(path, 'uploads'));
  const [place] = look().places;
  const { stdout } = spawnSync('stat', ['-f', '-c', '%a %S', path], { encoding: 'utf8' });
  const [blocks = 0, size = 0] = stdout.split(' ').map(Number);
  expect(place).toMatchObject({ state: 'there', isWritable: true, lostFiles: 0 });
  expect(place!.mount.target.length).toBeGreaterThan(0);
  expect(Math.abs(place!.freeKiB! - (blocks * size) / 1024)).toBeLessThan(1024 * 1024);
});

test('linked files on the storage are looked for there', () => {
  const { path, place, look } = withStorage({ linkedFiles: ['.env', 'config/key'] });
  expect(look().missingFiles).toEqual([]);
  const shared = { path: place.dir.concat('/shared'), kind: null, linkedDirs: ['uploads'] };
  const missing = place.run(lookAtStorage(web1, { ...place.site, shared })).result.missingFiles;
  expect(missing).toEqual(['.env', 'config/key']);
  expect(path).not.toBe('');
});

test('files of the live release that the storage lacks are counted, wherever its name leads (S06)', () => {
  const { path, place, look } = withStorage();
  mkdirSync(join(path, 'uploads'));
  place.write(`releases/${releaseId(1)}/uploads/a b.jpg`, 'x');
  place.write(`releases/${releaseId(1)}/uploads/2026/c.jpg`, 'x');
  place.symlink(`${place.dir}/releases/${releaseId(1)}`, 'current');
  expect(look().places[0]?.lostFiles).toBe(2);

  writeFileSync(join(path, 'uploads/a b.jpg'), 'x');
  expect(look().places[0]?.lostFiles).toBe(1);

  place.write('shared/uploads/d.jpg', 'x');
  place.write(`releases/${releaseId(2)}/index.php`, 'x');
  place.symlink(`${place.dir}/shared/uploads`, `releases/${releaseId(2)}/uploads`);
  rmSync(join(place.dir, 'current'));
  place.symlink(`${place.dir}/releases/${releaseId(2)}`, 'current');
  expect(look().places[0]?.lostFiles, 'of a link to the place before').toBe(1);

  rmSync(join(place.dir, `releases/${releaseId(2)}/uploads`));
  place.symlink(`${path}/uploads`, `releases/${releaseId(2)}/uploads`);
  expect(look().places[0]?.lostFiles, 'of a link to the storage').toBe(0);
});

test('a marker is written, seen and erased, and what was absent is made', () => {
  const { path, place } = withStorage();
  const mark = (act: 'write' | 'see' | 'erase') =>
    place.run(markStorage(place.site, ['uploads'], { act, marker: 'ab' })).result;
  expect(mark('see')).toMatchObject([{ dir: 'uploads', failure: expect.any(String) }]);
  expect(mark('write')).toEqual([{ dir: 'uploads', failure: null }]);
  expect(readdirSync(join(path, 'uploads'))).toEqual(['.sluice-check-ab']);
  expect(mark('see')).toEqual([{ dir: 'uploads', failure: null }]);
  expect(mark('erase')).toEqual([{ dir: 'uploads', failure: null }]);
  expect(readdirSync(join(path, 'uploads'))).toEqual([]);
  rmSync(join(path, 'uploads'), { recursive: true });
  writeFileSync(join(path, 'uploads'), 'a file');
  expect(mark('write')[0]?.failure).toMatch(/File exists|Not a directory/);
});

test('a release links to the storage, and neither receiving nor deleting it touches what is there', () => {
  const { path, place } = withStorage();
  place.run(setUp(place.site));
  expect(place.list('shared')).toEqual(['log']);
  const lock = { run: 'run-1', holder: 'a', host: 'b', reason: 'c', startedAt: 'd', intent: null };
  place.run(acquireLock(web1, place.site, lock, []));
  mkdirSync(join(path, 'uploads'));
  writeFileSync(join(path, 'uploads/cat.jpg'), 'a cat');
  const before = statSync(join(path, 'uploads')).mtimeMs;

  for (const n of [1, 2]) {
    const { bytes, digest } = artifact({ 'uploads/from-git.txt': 'x', n: `${n}` });
    expect(place.run(receive(place.fence(), place.site, release(n), digest), bytes).status).toBe(0);
  }
  expect(place.readlink(`releases/${releaseId(1)}/uploads`)).toBe(`${path}/uploads`);
  expect(place.list('shared')).toEqual(['log']);
  expect(place.readlink(`releases/${releaseId(1)}/log`)).toBe(`${place.dir}/shared/log`);
  place.run(removeReleases(place.fence(), [releaseId(1)]));
  expect(place.list('releases')).toEqual([releaseId(2)]);
  expect(readdirSync(join(path, 'uploads'))).toEqual(['cat.jpg']);
  expect(statSync(join(path, 'uploads')).mtimeMs).toBe(before);
});

/** Runs a script within its limit; what it leaves behind stands in a folder of its own. */
function bounded(script: string, seconds: number, tmp = folder()) {
  const text = `set -eu\n${within({ seconds, name: 'a test' }, script)}\necho "late: $late"`;
  const { stdout, status } = spawnSync('sh', ['-c', text], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: tmp },
  });
  return { tmp, stdout, status };
}

test('a script that ends within its limit leaves nothing but its output', () => {
  const { stdout, status, tmp } = bounded('echo "it\'s done"', 10);
  expect([stdout, status]).toEqual(["it's done\nlate: \n", 0]);
  expect(readdirSync(tmp)).toEqual([]);
});

test('a script has at least its time, by a clock of whole seconds', () => {
  const bin = folder();
  const date = `#!/bin/sh\n[ -e ${bin}/told ] && echo 2 || { : > ${bin}/told; echo 1; }\n`;
  writeFileSync(join(bin, 'date'), date, { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(bounded('sleep 0.5; echo done', 1).stdout).toBe('done\nlate: \n');
});

test('what a script wrote is there for whoever began it, although another of its name begins before it is read', () => {
  const bin = folder();
  const tmp = folder();
  const other = `set -eu\n${within({ seconds: 10, name: 'a test' }, 'echo other')}`;
  // The first wait: the script ends, and another comes and goes.
  const sleep = `#!/bin/sh
PATH=$REAL
if mkdir ${bin}/told 2>/dev/null; then
  until ls ${tmp}/*/end; do :; done
  sleep 0.1
  sh -c "$OTHER"
fi >&2
exec sleep "$@"
`;
  writeFileSync(join(bin, 'sleep'), sleep, { mode: 0o755 });
  vi.stubEnv('REAL', process.env.PATH);
  vi.stubEnv('OTHER', other);
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const ran = bounded(`until [ -e ${bin}/told ]; do :; done; echo done`, 10, tmp);
  expect(ran).toMatchObject({ stdout: 'done\nlate: \n', status: 0 });
  expect(readdirSync(tmp)).toEqual([]);
});

test('a script that hangs is given up, begun by nobody else meanwhile, and cleans up once it wakes', async () => {
  const hold = join(folder(), 'hold');
  writeFileSync(hold, '');
  const { tmp, stdout } = bounded(`echo begun; while [ -e ${hold} ]; do sleep 0.1; done`, 2);
  expect(stdout).toBe('begun\nlate: yes\n');
  expect(bounded('echo begun', 2, tmp).stdout).toBe('late: yes\n');
  rmSync(hold);
  await expect.poll(() => readdirSync(tmp)).toEqual([]);
  expect(bounded('echo begun', 10, tmp).stdout).toBe('begun\nlate: \n');
});
