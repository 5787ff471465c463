import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { S3 } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { seedSource } from '../../../src/adapters/sources/seed.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { fetchFiles } from '../../../src/commands/fetch-files.ts';
import type { S3Settings, SeedSource } from '../../../src/core/site.ts';
import { nthRelease, receivingNode } from '../../commands/receiving-node.ts';
import { sourceContract, whole } from '../../contracts/source.ts';
import { type RunningMoto, startMoto } from '../../lab/moto.ts';

const environment = {
  AWS_ACCESS_KEY_ID: 'AKIDOFTEST',
  AWS_SECRET_ACCESS_KEY: 'secret-of-test',
  // Every listing has pages.
  MOTO_S3_DEFAULT_MAX_KEYS: '2',
};
let moto: RunningMoto;
/** Whoever else may write to the bucket. */
let s3: S3;
const before = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, environment);
  moto = await startMoto();
  s3 = new S3({ region: 'us-east-1', endpoint: moto.endpoint, forcePathStyle: true });
});
afterAll(async () => {
  for (const name of Object.keys(environment)) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  s3?.destroy();
  await moto?.stop();
});

let buckets = 0;
const files = { 'index.php': 'one', 'lib/a b.php': "it's", 'bin/run': '#!/bin/sh\n', 'lib/copy.php': 'one' };

const machine = { packages: { nginx: '1.22' }, paths: ['/etc/nginx'], files: {}, unread: [] };

/** A seed that is a folder of this machine, whose images are in a bucket of their own. */
async function seed(more: Partial<SeedSource> = {}) {
  buckets += 1;
  const bucket = `images-${buckets}`;
  await s3.createBucket({ Bucket: bucket });
  const path = await mkdtemp(join(tmpdir(), 'sluice-seed-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const store: S3Settings = {
    kind: 's3',
    bucket,
    prefix: 'shop/',
    region: 'us-east-1',
    profile: null,
    endpoint: moto.endpoint,
  };
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
    store,
    deliver: 'urls',
    exclude: [],
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
  const objectOf = (text: string) => {
    const digest = digestOf(text);
    return { Bucket: bucket, Key: `shop/files/${digest.slice(0, 2)}/${digest}.gz` };
  };
  return {
    source,
    write,
    capture: async () => (await source.images.capture({ by: 'ada@laptop', commit: null, machine })).name,
    spoil: (text: string, bytes: Uint8Array) => s3.putObject({ ...objectOf(text), Body: bytes }),
    forget: (text: string) => s3.deleteObject(objectOf(text)),
    writtenAt: async (text: string) => (await s3.headObject(objectOf(text))).LastModified,
  };
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

sourceContract('seed with a store in S3', async () => {
  const { source, write, capture } = await seed({ deliver: 'stream' });
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

describe('a store in S3', () => {
  test('holds each content once, is never written over, and forgets images', async () => {
    const { source, write, capture, writtenAt } = await seed();
    const first = await capture();
    const at = await writtenAt('one');
    await write({ 'index.php': 'two' });
    const second = await capture();
    expect((await source.images.list()).map(({ name }) => name)).toEqual([second, first]);
    expect(await source.images.verify(second)).toEqual([]);
    await write({ 'index.php': 'one' });
    expect(await capture()).toBe(first);
    expect((await source.images.list()).map(({ name }) => name)).toEqual([first, second]);
    expect(await writtenAt('one')).toEqual(at);
    expect(await source.images.machine(first)).toEqual(machine);
    await source.images.remove([first]);
    expect((await source.images.list()).map(({ name }) => name)).toEqual([second]);
    await expect(source.images.read(first)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
    await expect(source.images.machine(first)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
  });

  test('keeps for two days what no image has, and longer what a capture found there', async () => {
    const { source, write, capture, writtenAt } = await seed();
    await write({ 'left.php': 'left' });
    const left = await capture();
    await write({ 'left.php': 'other' });
    const image = await capture();
    await source.images.remove([left]);
    expect(await writtenAt('left')).toBeDefined();
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ now: Date.now() + 3 * 24 * 60 * 60_000, toFake: ['Date'] });
    expect(await capture()).toBe(image);
    await source.images.remove([]);
    expect(await source.images.verify(image)).toEqual([]);
    await expect(writtenAt('left')).rejects.toMatchObject({ name: 'NotFound' });
  });

  test('is listed while images are removed from it, by several at once', async () => {
    const { source, write, capture } = await seed();
    const captured = [];
    for (let i = 0; i < 5; i++) {
      await write({ 'index.php': `version ${i}` });
      captured.push(await capture());
    }
    const [stays, ...gone] = captured.reverse();
    const remove = () => source.images.remove(gone);
    const list = async () => expect((await source.images.list()).map(({ name }) => name)).toContain(stays);
    await Promise.all([remove(), list(), remove(), list(), source.images.remove([]), list()]);
    expect((await source.images.list()).map(({ name }) => name)).toEqual([stays]);
    expect(await source.images.verify(stays!)).toEqual([]);
  });

  test('tells content that is damaged, or gone', async () => {
    const { source, capture, spoil, forget } = await seed({ deliver: 'stream' });
    const image = await capture();
    await spoil("it's", Buffer.from('not what it was'));
    expect(await source.images.verify(image)).toEqual(['lib/a b.php']);
    await forget("it's");
    const built = await source.build(nthRelease(image), {});
    await expect(whole(built)).rejects.toMatchObject({ code: 'IMAGE_DAMAGED' });
    await built.discard();
  });

  test('that does not answer is named, and its bucket', async () => {
    const { source } = await seed({
      store: {
        kind: 's3',
        bucket: 'absent',
        prefix: '',
        region: 'us-east-1',
        profile: null,
        endpoint: moto.endpoint,
      },
    });
    await expect(source.resolve('newest')).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: expect.stringContaining('s3://absent/ could not be read: NoSuchBucket'),
    });
  });
});

describe('a node', () => {
  test('fetches what it lacks by itself, and nothing else, and its parcel holds no content', async () => {
    const { source, write, capture } = await seed();
    const { folder, receive } = receivingNode();
    const whole = await receive(source, await capture());
    expect([whole.status, whole.stderr, whole.result.differs]).toEqual([0, '', []]);
    await write({ 'index.php': 'two', 'big.bin': 'b'.repeat(3_000_000) });
    const image = await capture();
    const { status, stderr, result, bytes } = await receive(source, image, 2);
    expect([status, stderr, result.differs]).toEqual([0, '', []]);
    expect(bytes).toBeLessThan(2000);
    const release = join(folder.dir, 'releases/20260101000002');
    const { images } = source;
    expect(await images.readTree(images.seed, release)).toEqual(await images.read(image));
    expect(folder.list('.sluice/incoming')).toEqual([]);
  });

  test('refuses what it fetched if its digest is not right', async () => {
    const { source, capture, spoil } = await seed();
    const { folder } = receivingNode();
    const image = await capture();
    const wrong = digestOf('ONE');
    await spoil('one', gzipSync('ONE'));
    const { status, result } = folder.run(...(await fetching(source, folder, image)));
    const digest = digestOf('one');
    expect([status, result]).toEqual([0, { expected: digest, got: wrong }]);
    expect(
      existsSync(join(folder.dir, '.sluice/incoming/20260101000001.files', digest.slice(0, 2), digest)),
    ).toBe(false);
  });

  test('says why it cannot fetch, without the URL', async () => {
    const { source, capture, forget } = await seed();
    const { folder } = receivingNode();
    const image = await capture();
    await forget('one');
    const { status, stderr } = folder.run(...(await fetching(source, folder, image)));
    expect(status).toBe(1);
    expect(stderr).toMatch(/404/);
    expect(stderr).not.toMatch(/Signature|AKIDOFTEST/);
    expect(folder.list('.sluice/incoming').filter((name) => !name.endsWith('.files'))).toEqual([]);
  });

  const fetching = async (
    source: Awaited<ReturnType<typeof seed>>['source'],
    folder: ReturnType<typeof receivingNode>['folder'],
    image: Awaited<ReturnType<Awaited<ReturnType<typeof seed>>['capture']>>,
  ) => {
    const built = await source.build(nthRelease(image), {});
    const parcel = await whole(built);
    await built.discard();
    if (parcel.contents?.from !== 'urls') throw new Error('it would not be fetched');
    const config = await parcel.contents.config();
    expect(config).toMatch(/^url = "http[^"]*X-Amz-Signature=[0-9a-f]{64}/);
    const { id } = nthRelease(image);
    return [fetchFiles(folder.fence(), id), Buffer.from(config)] as const;
  };
});
