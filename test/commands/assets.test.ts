import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeReleases } from '../../src/commands/cleanup.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { type Received, receive } from '../../src/commands/receive.ts';
import { switchTo } from '../../src/commands/switch.ts';
import { node, release, releaseId } from '../core/fleet.ts';
import { artifact, nodeFolder } from './node-folder.ts';

const dir = 'public/build it';

/** A node that takes builds in whose assets are these files. */
function assetNode() {
  const folder = nodeFolder({ assets: [dir] });
  const lock = { run: 'run-1', holder: 'a', host: 'b', reason: 'c', startedAt: 'd', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  const inDir = (files: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(files).map(([name, text]) => [`${dir}/${name}`, text]));
  return {
    folder,
    deliver(n: number, files: Readonly<Record<string, string>>): Received {
      const { bytes, digest } = artifact({ n: `${n}`, ...inDir(files) });
      const ran = folder.run(receive(folder.fence(), folder.site, release(n), digest), bytes);
      expect(ran.status, ran.stderr).toBe(0);
      return ran.result;
    },
    goLive: (n: number) =>
      expect(folder.run(switchTo(folder.fence(), folder.site, release(n))).status).toBe(0),
    assets: (n: number) => folder.list(`releases/${releaseId(n)}/${dir}`),
    read: (n: number, name: string) => folder.read(`releases/${releaseId(n)}/${dir}/${name}`),
  };
}

test('before a release goes live, it and the live one have the assets of both', () => {
  const { deliver, goLive, assets, folder } = assetNode();
  deliver(1, { 'app.1.js': 'one', 'img/logo.1.png': 'png' });
  goLive(1);
  deliver(2, { 'app.2.js': 'two', 'css/deep/site.2.css': 'css' });
  expect(assets(1)).toEqual(['app.1.js', 'app.2.js', 'css', 'img']);
  expect(assets(2)).toEqual(['app.1.js', 'app.2.js', 'css', 'img']);
  for (const file of ['app.2.js', 'css/deep/site.2.css', 'img/logo.1.png'])
    expect(folder.read(`current/${dir}/${file}`)).toBe(
      folder.read(`releases/${releaseId(2)}/${dir}/${file}`),
    );
});

test('what is lent takes no room: it is a link', () => {
  const { deliver, goLive, folder } = assetNode();
  deliver(1, { 'app.1.js': 'one' });
  goLive(1);
  deliver(2, { 'app.2.js': 'two' });
  const inode = (n: number) => statSync(join(folder.dir, `releases/${releaseId(n)}/${dir}/app.1.js`)).ino;
  expect(inode(1)).toBe(inode(2));
});

test('a file of one name with other content stays as each release brought it, and is told', () => {
  const { deliver, goLive, read } = assetNode();
  expect(deliver(1, { 'manifest.json': 'one', same: 'same' }).clashes).toEqual([]);
  goLive(1);
  expect(deliver(2, { 'manifest.json': 'two', same: 'same', 'new.js': 'new' }).clashes).toEqual([
    `${dir}/manifest.json`,
  ]);
  expect([read(1, 'manifest.json'), read(2, 'manifest.json')]).toEqual(['one', 'two']);
});

test('a release that is rolled back to has the assets of the one that it replaces', () => {
  const { deliver, goLive, assets } = assetNode();
  for (const n of [1, 2, 3]) {
    deliver(n, { [`app.${n}.js`]: `${n}` });
    goLive(n);
  }
  expect(assets(1)).toEqual(['app.1.js', 'app.2.js', 'app.3.js']);
  expect(assets(3)).toEqual(['app.1.js', 'app.2.js', 'app.3.js']);
});

test('assets of a release that is gone are lent no more, and stay with those that borrowed them', () => {
  const { deliver, goLive, assets, folder } = assetNode();
  for (const n of [1, 2, 3]) {
    deliver(n, { [`app.${n}.js`]: `${n}` });
    goLive(n);
  }
  folder.run(removeReleases(folder.fence(), [releaseId(1)]));
  deliver(4, { 'app.4.js': '4' });
  expect(assets(4)).toEqual(['app.2.js', 'app.3.js', 'app.4.js']);
  expect(assets(3)).toEqual(['app.1.js', 'app.2.js', 'app.3.js', 'app.4.js']);
  expect(folder.list('.sluice/assets').map((name) => name.slice(0, 14))).toEqual([2, 3, 4].map(releaseId));
});

test('a release of another tool lends what it has', () => {
  const { deliver, assets, folder } = assetNode();
  folder.write(`releases/${releaseId(1)}/${dir}/app.1.js`, 'one');
  folder.symlink(`${folder.dir}/releases/${releaseId(1)}`, 'current');
  deliver(2, { 'app.2.js': 'two' });
  expect(assets(1)).toEqual(['app.1.js', 'app.2.js']);
  expect(assets(2)).toEqual(['app.1.js', 'app.2.js']);
});

test('a build without assets has those of the live release', () => {
  const { deliver, goLive, assets } = assetNode();
  deliver(1, { 'app.1.js': 'one' });
  goLive(1);
  deliver(2, {});
  expect(assets(2)).toEqual(['app.1.js']);
});
