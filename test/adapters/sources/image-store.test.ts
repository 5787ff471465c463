import { existsSync } from 'node:fs';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { folderStore } from '../../../src/adapters/sources/image-store.ts';
import type { Manifest } from '../../../src/core/image.ts';

/** A store on a folder that several machines share. */
async function shared() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const open = () => folderStore(folder);
  const contentOf = (digest: string) => join(folder, 'files', digest.slice(0, 2), digest);
  return {
    open,
    contentOf,
    /** An image of one file, captured a while ago. */
    async image(text: string) {
      const store = open();
      const digest = await store.put(chunks(text));
      await utimes(contentOf(digest), 1, 1);
      const manifest: Manifest = [
        { kind: 'file', path: 'index.php', mode: '644', bytes: text.length, digest },
      ];
      const about = { atMs: 1, from: 'seed1:/app', by: 'ada@laptop', commit: null };
      const machine = { packages: {}, paths: [], files: {}, unread: [] };
      return { digest, name: (await store.add(manifest, about, machine)).name };
    },
  };
}

async function* chunks(text: string) {
  yield Buffer.from(text);
}

test('images can be listed while others are removed, and those that stay are always among them', async () => {
  const { open, image } = await shared();
  const stays = (await image('stays')).name;
  for (let round = 0; round < 6; round++) {
    const gone = [];
    for (let i = 0; i < 10; i++) gone.push((await image(`${round} ${i}`)).name);
    let isOver = false;
    const removing = open()
      .remove(gone, Date.now())
      .finally(() => {
        isOver = true;
      });
    while (!isOver) expect((await open().list()).map(({ name }) => name)).toContain(stays);
    await removing;
  }
});

test('images can be removed by several at once', async () => {
  const { open, image, contentOf } = await shared();
  const stays = await image('stays');
  for (let round = 0; round < 6; round++) {
    const gone = [];
    for (let i = 0; i < 10; i++) gone.push(await image(`${round} ${i}`));
    const names = gone.map(({ name }) => name);
    await Promise.all([names, names.toReversed(), names].map((some) => open().remove(some, Date.now())));
    expect(gone.filter(({ digest }) => existsSync(contentOf(digest)))).toEqual([]);
  }
  expect((await open().list()).map(({ name }) => name)).toEqual([stays.name]);
  expect(existsSync(contentOf(stays.digest))).toBe(true);
});

test('content that a capture counts on is not removed at that moment', async () => {
  const { open, contentOf } = await shared();
  const digests = await Promise.all(Array.from({ length: 20 }, (_, i) => open().put(chunks(`${i}`))));
  for (let round = 0; round < 15; round++) {
    for (const [i] of digests.entries()) await open().put(chunks(`${i}`));
    for (const digest of digests) await utimes(contentOf(digest), 1, 1);
    const removing = open().remove([], Date.now());
    const found: string[] = [];
    for (const digest of digests) if ((await open().lacks([digest])).length === 0) found.push(digest);
    await removing;
    expect(found.filter((digest) => !existsSync(contentOf(digest)))).toEqual([]);
  }
});
