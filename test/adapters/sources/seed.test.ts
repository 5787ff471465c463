import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { assert, describe, expect, onTestFinished, test } from 'vitest';
import { seedSource } from '../../../src/adapters/sources/seed.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { receiveImage } from '../../../src/commands/receive.ts';
import { isDeployError } from '../../../src/core/errors.ts';
import type { Revision } from '../../../src/core/release.ts';
import type { SeedSource } from '../../../src/core/site.ts';
import { nthRelease, receivingNode } from '../../commands/receiving-node.ts';
import { read, sourceContract } from '../../contracts/source.ts';

const machine = { packages: { nginx: '1.22' }, paths: ['/etc/nginx'], files: {}, unread: [] };

/** A seed that is a folder of this machine. */
async function seed(files: Readonly<Record<string, string>>, more: Partial<SeedSource> = {}) {
  const top = await mkdtemp(join(tmpdir(), 'sluice-seed-'));
  onTestFinished(() => rm(top, { recursive: true, force: true }));
  const path = join(top, 'app');
  const store = join(top, 'store');
  const settings: SeedSource = {
    kind: 'seed',
    name: 'seed1',
    address: 'seed1',
    user: null,
    port: null,
    git: null,
    build: [],
    ref: 'newest',
    path,
    store: { kind: 'folder', path: store },
    deliver: 'stream',
    exclude: ['cache', '**/*.log'],
    checks: [],
    timeoutMs: 60_000,
    ...more,
  };
  const source = seedSource(settings, {
    transport: localTransport({ become: null }),
    linked: ['media', '.env'],
  });
  const write = async (changes: Readonly<Record<string, string>>) => {
    for (const [file, text] of Object.entries(changes)) {
      await mkdir(dirname(join(path, file)), { recursive: true });
      await writeFile(join(path, file), text);
    }
  };
  await write(files);
  return {
    path,
    store,
    source,
    write,
    capture: async () => (await source.images.capture({ by: 'ada@laptop', commit: null, machine })).name,
    /** Where the store keeps this content. */
    stored(text: string) {
      const digest = createHash('sha256').update(text).digest('hex');
      return join(store, 'files', digest.slice(0, 2), digest);
    },
  };
}

const files = { 'index.php': 'one', 'lib/a b.php': "it's", 'lib/übersicht.php': 'ü', 'empty/nothing': '' };

sourceContract('seed', async () => {
  const { source, write, capture } = await seed(files);
  const advance = async (text: string) => {
    await write({ 'index.php': text });
    return capture();
  };
  return {
    source,
    tip: 'newest',
    first: await advance('one'),
    second: await advance('two'),
    advance: () => advance('three'),
  };
});

test('the same content has the same name, wherever and whenever it is captured', async () => {
  const [one, other] = [await seed(files), await seed(Object.fromEntries(Object.entries(files).reverse()))];
  await utimes(join(other.path, 'index.php'), 1, 1);
  const name = await one.capture();
  expect(await other.capture()).toBe(name);
  const text = await readFile(join(one.store, 'images', name, 'manifest'));
  expect(createHash('sha256').update(text).digest('hex')).toBe(name);
  const sorted = execFileSync('sort', { input: text, env: { LC_ALL: 'C' } });
  expect(sorted.equals(text)).toBe(true);
});

test('what the seed had beside it is kept with the image, as it was the last time', async () => {
  const { source, store, capture } = await seed(files);
  const name = await capture();
  expect(await source.images.machine(name)).toEqual(machine);
  const later = { ...machine, packages: { nginx: '1.24' } };
  await source.images.capture({ by: 'ada@laptop', commit: null, machine: later });
  expect(await source.images.machine(name)).toEqual(later);
  const place = join(store, 'images', name, 'machine.json');
  await writeFile(place, '{');
  await expect(source.images.machine(name)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
  await rm(place);
  expect(await source.images.machine(name)).toBeNull();
  await rm(dirname(place), { recursive: true });
  await expect(source.images.machine(name)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
});

test.each<[string, (path: string) => Promise<unknown>]>([
  ['content', (path) => writeFile(join(path, 'index.php'), 'two')],
  ['a mode', (path) => chmod(join(path, 'index.php'), 0o755)],
  ['a link', (path) => symlink('index.php', join(path, 'start'))],
  ['an empty directory', (path) => mkdir(join(path, 'hollow'))],
])('another name says that %s differs', async (_what, change) => {
  const { path, capture } = await seed(files);
  const before = await capture();
  await change(path);
  expect(await capture()).not.toBe(before);
});

test('what is linked, excluded, or written beside a release is no part of an image', async () => {
  const { source, capture } = await seed({
    ...files,
    'media/huge': 'x',
    '.env': 'PASSWORD=1',
    'cache/x': 'x',
    'deep/er/some.log': 'x',
    REVISION: 'x',
  });
  const paths = (await source.images.read(await capture())).map(({ path }) => path);
  expect(paths).toEqual(
    ['deep', 'deep/er', 'empty', 'lib', ...Object.keys(files).sort(byName)].sort(byKind(paths)),
  );
});
const byName = (a: string, b: string): number => (a < b ? -1 : 1);
/** The order is that of the lines, which another test looks at. */
const byKind = (paths: readonly string[]) => (a: string, b: string) => paths.indexOf(a) - paths.indexOf(b);

test('what cannot be the same everywhere is refused by its name', async () => {
  const { path, capture } = await seed(files);
  execFileSync('mkfifo', [join(path, 'pipe')]);
  await writeFile(join(path, 'two\\lines'), '');
  const error = await capture().catch((reason: unknown) => reason);
  expect(isDeployError(error, 'SEED_UNFIT')).toBe(true);
  expect(String(error)).toMatch(/two\\\\lines.*portable.*pipe is neither a file/s);
});

describe('a name of a revision', () => {
  test('is newest, a whole name, or its beginning, and nothing else', async () => {
    const { source, write, capture } = await seed(files);
    const first = await capture();
    await write({ 'index.php': 'two' });
    const second = await capture();
    expect(await source.resolve('newest')).toBe(second);
    expect(await source.resolve(first)).toBe(first);
    expect(await source.resolve(first.slice(0, 12))).toBe(first);
    for (const ref of ['main', '', '../..', 'ffff'.repeat(16)])
      await expect(source.resolve(ref)).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });

  test('is newest for content that is captured again', async () => {
    const { source, write, capture } = await seed(files);
    const first = await capture();
    await write({ 'index.php': 'two' });
    await capture();
    await write(files);
    expect(await capture()).toBe(first);
    expect(await source.resolve('newest')).toBe(first);
  });
});

test('comparing says which files differ, and a way back is behind', async () => {
  const { source, write, capture } = await seed(files);
  const first = await capture();
  await write({ 'index.php': 'two', 'new.php': 'new' });
  const second = await capture();
  const { commits, behind } = await source.compare(first, second);
  expect(commits).toEqual([
    { revision: second, author: 'ada@laptop', subject: '2 paths differ: index.php and new.php' },
  ]);
  expect(behind).toBe(0);
  expect(await source.compare(second, first)).toEqual({ commits: [], behind: 1 });
});

describe('a node', () => {
  test('gets an image whole, to the bit, modes and links among it', async () => {
    const { source, path, capture } = await seed(files);
    await chmod(join(path, 'index.php'), 0o640);
    await symlink('../index.php', join(path, 'lib/start'));
    await mkdir(join(path, 'closed'));
    await chmod(join(path, 'closed'), 0o750);
    const image = await capture();
    const { folder, receive, held } = receivingNode();
    const { status, stderr, result } = await receive(source, image);
    expect([status, stderr, result.differs]).toEqual([0, '', []]);
    expect(folder.list('.sluice/incoming')).toEqual([]);
    expect(folder.read('releases/20260101000001/REVISION')).toBe(`${image}\n`);
    expect(folder.isLink('releases/20260101000001/media')).toBe(true);
    const there = await source.images.readTree(
      source.images.seed,
      join(folder.dir, 'releases/20260101000001'),
    );
    expect(there).toEqual(await source.images.read(image));
    expect(held()).toEqual({ release: '20260101000001', image, spoilt: [] });
  });

  test('links what stays, and gets what changed', async () => {
    const { source, path, write, capture } = await seed({ ...files, gone: 'x', turns: 'file' });
    const { folder, receive } = receivingNode();
    await receive(source, await capture());
    await write({ 'index.php': 'two', 'new/er.php': 'new' });
    await rm(join(path, 'gone'));
    await rm(join(path, 'turns'));
    await write({ 'turns/into': 'a directory' });
    const image = await capture();
    const { status, stderr, result } = await receive(source, image, 2);
    expect([status, stderr, result.differs]).toEqual([0, '', []]);
    const there = await source.images.readTree(
      source.images.seed,
      join(folder.dir, 'releases/20260101000002'),
    );
    expect(there).toEqual(await source.images.read(image));
    const inodes = (file: string) =>
      execFileSync(
        'stat',
        ['-c', '%i', `releases/20260101000001/${file}`, `releases/20260101000002/${file}`],
        {
          cwd: folder.dir,
          encoding: 'utf8',
        },
      )
        .trim()
        .split('\n');
    expect(new Set(inodes('lib/a b.php')).size).toBe(1);
    expect(new Set(inodes('index.php')).size).toBe(2);
    expect(folder.read('releases/20260101000001/index.php')).toBe('one');
  });

  test.each<[string, (folder: string) => void]>([
    ['was written to', (folder) => execFileSync('sh', ['-c', 'printf ona > index.php'], { cwd: folder })],
    ['grew', (folder) => execFileSync('sh', ['-c', 'echo more >> index.php'], { cwd: folder })],
    ['lost its mode', (folder) => execFileSync('chmod', ['600', 'index.php'], { cwd: folder })],
    ['is gone', (folder) => execFileSync('rm', ['index.php'], { cwd: folder })],
  ])('does not link a file that %s in its last release', async (_what, spoil) => {
    const { source, write, capture } = await seed(files);
    const { folder, receive, held } = receivingNode();
    await receive(source, await capture());
    spoil(join(folder.dir, 'releases/20260101000001'));
    expect(held()?.spoilt).toEqual(['index.php']);
    await write({ 'new.php': 'new' });
    const image = await capture();
    expect((await receive(source, image, 2)).result.differs).toEqual([]);
    const there = await source.images.readTree(
      source.images.seed,
      join(folder.dir, 'releases/20260101000002'),
    );
    expect(there).toEqual(await source.images.read(image));
  });

  test('is sent the difference to an image that only the node still knows', async () => {
    const { source, write, capture } = await seed(files);
    const { folder, receive } = receivingNode();
    const first = await capture();
    await receive(source, first);
    await write({ 'index.php': 'two' });
    const second = await capture();
    await source.images.remove([first]);
    expect((await receive(source, second, 2)).result.differs).toEqual([]);
    expect(statSync(join(folder.dir, 'releases/20260101000002/lib/a b.php')).nlink).toBe(2);
  });

  test('copies what it lacks from a store that it mounts, with the modes of the image and not of the store', async () => {
    const { source, path, write, capture, stored } = await seed(files, { deliver: 'storage' });
    const { folder, receive } = receivingNode();
    await receive(source, await capture());
    await write({ 'index.php': 'two', 'lib/as it was.php': 'two' });
    await chmod(join(path, 'index.php'), 0o755);
    const image = await capture();
    await chmod(stored('two'), 0o600);
    const { status, stderr, result, bytes } = await receive(source, image, 2);
    expect([status, stderr, result.differs]).toEqual([0, '', []]);
    expect(bytes).toBeLessThan(1000);
    const release = join(folder.dir, 'releases/20260101000002');
    expect(await source.images.readTree(source.images.seed, release)).toEqual(
      await source.images.read(image),
    );
    await write({ 'index.php': 'three' });
    const third = await capture();
    await writeFile(stored('three'), 'thr33');
    expect((await receive(source, third, 3)).result.differs).toEqual(['content of index.php']);
    expect(folder.list('releases')).toHaveLength(2);
  });

  test('of 2,500 files of which 60 changed, is sent less than 1.2 times what those are compressed', async () => {
    const text = (n: number, version: string) =>
      Array.from(
        { length: 80 },
        (_, line) => `${createHash('md5').update(`${version}${n}.${line}`).digest('hex')}\n`,
      ).join('');
    const all = Object.fromEntries(
      Array.from({ length: 2500 }, (_, n) => [`src/module-${n % 100}/class-${n}.php`, text(n, 'a')]),
    );
    const changed = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [
        `src/module-${(n * 41) % 100}/class-${n * 41}.php`,
        text(n * 41, 'b'),
      ]),
    );
    const { source, write, capture } = await seed(all);
    const { receive } = receivingNode();
    const whole = await receive(source, await capture());
    await write(changed);
    const { bytes, result } = await receive(source, await capture(), 2);
    const compressed = gzipSync(Object.values(changed).join('')).length;
    expect(result.differs).toEqual([]);
    expect(bytes).toBeLessThan(1.2 * compressed);
    expect(bytes).toBeLessThan(whole.bytes / 20);
  }, 60_000);

  test('refuses a bit that flipped on the way, and nothing appears', async () => {
    const { source, capture } = await seed(files);
    const { folder, receive } = receivingNode();
    const { status, result } = await receive(source, await capture(), 1, flipped);
    expect(status === 0 && result.digest === null).toBe(false);
    expect([
      folder.list('releases'),
      folder.list('.sluice/incoming'),
      folder.list('.sluice/releases'),
    ]).toEqual([[], [], []]);
  });

  test('refuses a manifest that was changed on the node after it was asked', async () => {
    const { source, write, capture } = await seed(files);
    const { folder, receive } = receivingNode();
    await receive(source, await capture());
    await write({ 'new.php': 'new' });
    const manifest = '.sluice/images/20260101000001';
    const spoil = (bytes: Buffer): Buffer => {
      folder.write(manifest, folder.read(manifest).replace('644', '600'));
      return bytes;
    };
    const { status, result } = await receive(source, await capture(), 2, spoil);
    expect([status, result.differs.length]).toEqual([0, 1]);
    expect(result.differs[0]).toMatch(/^manifest /);
    expect(folder.list('releases')).toEqual(['20260101000001']);
  });

  test('refuses what does not come out as the manifest says', async () => {
    const { source, write, capture } = await seed(files);
    const { folder, receive, held } = receivingNode();
    await receive(source, await capture());
    await write({ 'new.php': 'new' });
    const image = await capture();
    const built = await source.build(nthRelease(image, 2), {});
    assert('since' in built);
    const base = held();
    assert(base);
    const artifact = await built.since(base);
    assert(artifact);
    // After it was asked, before it is told.
    folder.write('releases/20260101000001/index.php', 'ONE');
    const parcel = { digest: artifact.digest, image, base: base.release, timeSeconds: 0, contents: null };
    const command = receiveImage(folder.fence(), folder.site, nthRelease(image, 2), parcel);
    const { status, result } = folder.run(command, await read(artifact));
    await built.discard();
    expect([status, result.differs]).toEqual([0, ['content of index.php']]);
    expect(folder.list('releases')).toEqual(['20260101000001']);
    expect(folder.list('.sluice/incoming')).toEqual([]);
  });
});

const flipped = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy[Math.floor(copy.length / 2)]! ^= 1;
  return copy;
};

describe('a bit that flips in the store', () => {
  test('of a file is told by its path, and no artifact is made of it', async () => {
    const { source, stored, capture } = await seed(files);
    const image = await capture();
    expect(await source.images.verify(image)).toEqual([]);
    await writeFile(stored('one'), 'onf');
    expect(await source.images.verify(image)).toEqual(['index.php']);
    const built = await source.build(nthRelease(image), {});
    assert('since' in built);
    await expect(built.since(null)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
    await built.discard();
  });

  test('of a manifest is refused', async () => {
    const { source, store, capture } = await seed(files);
    const image = await capture();
    const manifest = join(store, 'images', image, 'manifest');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('644', '646'));
    await expect(source.images.read(image)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
    await expect(source.build(nthRelease(image), {})).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
  });
});

describe('a build on the seed', () => {
  const git = (cwd: string, ...words: readonly string[]): string =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', ...words], {
      cwd,
      encoding: 'utf8',
    }).trim();

  test('checks out a revision, keeps what git does not know, and runs the commands there', async () => {
    const repository = await mkdtemp(join(tmpdir(), 'sluice-seed-git-'));
    onTestFinished(() => rm(repository, { recursive: true, force: true }));
    git(repository, 'init', '--quiet', '--initial-branch=main');
    await writeFile(join(repository, 'index.php'), 'one');
    git(repository, 'add', '.');
    git(repository, 'commit', '--quiet', '--message=one');
    git(repository, 'tag', 'v1');
    const first = git(repository, 'rev-parse', 'HEAD');
    await writeFile(join(repository, 'index.php'), 'two');
    git(repository, 'commit', '--quiet', '--all', '--message=two');

    const { path, source } = await seed(
      { 'kept.php': 'mine' },
      { git: repository, build: [['cp', 'index.php', 'built.php'], 'echo said'], exclude: ['.git'] },
    );
    expect(await source.images.build('v1')).toBe(first);
    expect(await readFile(join(path, 'built.php'), 'utf8')).toBe('one');
    expect(await source.images.build('HEAD')).toBe(git(repository, 'rev-parse', 'HEAD'));
    const { name, commit } = await source.images.capture({
      by: 'ada@laptop',
      commit: first as Revision,
      machine,
    });
    expect(commit).toBe(first);
    const paths = (await source.images.read(name)).map((entry) => entry.path);
    expect(paths.sort()).toEqual(['built.php', 'index.php', 'kept.php']);
    await expect(source.images.build('nowhere')).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  });

  test('that fails is told with what its command said', async () => {
    const { source } = await seed(files, { build: ['echo no such module >&2; exit 3'] });
    await expect(source.images.build('HEAD')).rejects.toThrow(/status 3:\n {2}\| no such module/);
  });
});

test('the store holds each content once, and forgets what no image has', async () => {
  const { source, stored, write, capture } = await seed({ ...files, copy: 'one' });
  const first = await capture();
  await write({ 'index.php': 'two', copy: 'two' });
  const second = await capture();
  await utimes(stored('one'), 1, 1);
  await utimes(stored("it's"), 1, 1);
  await source.images.remove([first]);
  await expect(readFile(stored('one'))).rejects.toThrow('ENOENT');
  expect(await source.images.verify(second)).toEqual([]);
  expect((await source.images.list()).map(({ name, files: count }) => [name, count])).toEqual([[second, 5]]);
});
