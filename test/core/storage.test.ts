import { describe, expect, test } from 'vitest';
import {
  codeOnStorage,
  linkTarget,
  localUploads,
  mayHang,
  type NodeStorage,
  type Place,
  storageDirs,
  storageProblems,
} from '../../src/core/storage.ts';
import { site } from './fleet.ts';

const nfs = { source: 'nfs1:/shop', target: '/mnt/shop', type: 'nfs4' };
const disk = { source: '/dev/vda1', target: '/', type: 'ext4' };
const shared = { path: '/mnt/shop', kind: null, linkedDirs: ['uploads'] } as const;
const shop = site(2, { linkedDirs: ['uploads', 'log'], shared });

const place = (more: Partial<Place> = {}): Place => ({
  dir: 'uploads',
  path: '/mnt/shop/uploads',
  state: 'there',
  reason: '',
  mount: nfs,
  isWritable: true,
  freeKiB: 1e6,
  lostFiles: 0,
  ...more,
});
const found = (more: Partial<Place> = {}, node = 'web1'): NodeStorage => ({
  node,
  places: [place(more)],
  missingFiles: [],
  code: disk,
});
const problems = (more: Partial<Place>, { isMaking = false, of = shop } = {}): string =>
  storageProblems(of, found(more), { isMaking }).join('\n');

test('a linked directory leads to the storage if shared names it, else into shared/', () => {
  expect(linkTarget(shop, 'uploads')).toBe('/mnt/shop/uploads');
  expect(linkTarget(shop, 'log')).toBe('/srv/shop/shared/log');
});

test('whatever lies below the storage may hang with it', () => {
  expect(mayHang(shop, 'uploads')).toBe(true);
  expect(mayHang(shop, 'log')).toBe(false);
  const around = { ...shop, shared: { ...shared, path: '/srv/shop/shared' } };
  expect([mayHang(around, 'log'), mayHang(around, '.env'), mayHang(around, '.')]).toEqual([true, true, true]);
});

describe('what stands against a release', () => {
  test('is nothing when the directory is on the mount, writable, with room', () => {
    expect(problems({})).toBe('');
    expect(problems({ freeKiB: null })).toBe('');
  });

  test.each([
    [{ mount: disk }, 'was expected on a mount of a network or cluster file system, but it is on ext4'],
    [{ isWritable: false }, 'is not writable for the login user'],
    [{ freeKiB: 10 * 1024 }, 'has 10 MiB left, and 100 were expected'],
    [{ lostFiles: 3 }, '/srv/shop/current/uploads has 3 file(s) that /mnt/shop/uploads lacks'],
    [{ lostFiles: null }, 'could not be compared with /mnt/shop/uploads within 120 s'],
    [
      { state: 'silent' },
      'did not answer within 10 s: its mount (nfs4 from nfs1:/shop at /mnt/shop) is stale',
    ],
    [{ state: 'absent', reason: 'No such file or directory' }, 'sluice check makes it'],
  ] as const)('%o is told with node, path and what was found', (more, sentence) => {
    expect(problems(more)).toMatch(/^web1: /);
    expect(problems(more)).toContain('/mnt/shop/uploads');
    expect(problems(more)).toContain(sentence);
    expect(problems(more).split('\n')).toHaveLength(1);
  });

  test('is not what check is about to make, but is a mount that cannot be read', () => {
    expect(problems({ state: 'absent', reason: 'No such file or directory' }, { isMaking: true })).toBe('');
    const mount = { ...nfs, target: '/mnt/shop/uploads' };
    expect(problems({ state: 'absent', reason: 'Stale file handle', mount }, { isMaking: true })).toContain(
      'cannot be read: Stale file handle. Mount it again.',
    );
  });

  test('is another kind of storage than the config asks for', () => {
    const of = { ...shop, shared: { ...shared, kind: 'cephfs' as const } };
    expect(problems({}, { of })).toContain(
      'expected on a mount of cephfs (ceph or fuse.ceph or fuse.ceph-fuse)',
    );
  });
});

describe('linked directories with a name for uploads', () => {
  const dirs = (more: Parameters<typeof site>[1], count = 2): readonly string[] =>
    storageDirs(site(count, more));

  test.each([
    'uploads',
    'wp-content/uploads',
    'pub/media',
    'web/sites/default/files',
    'storage/app',
    'moodledata',
  ])('%s is looked at on two nodes, unless it is meant to be local', (dir) => {
    expect(dirs({ linkedDirs: [dir] })).toEqual([dir]);
    expect(dirs({ linkedDirs: [dir], localDirs: [dir] })).toEqual([]);
    expect(dirs({ linkedDirs: [dir] }, 1)).toEqual([]);
  });

  test.each(['log', 'var/log', 'storage/logs', 'tmp/cache', 'var/session'])('%s is not', (dir) => {
    expect(dirs({ linkedDirs: [dir] })).toEqual([]);
  });

  test('are refused where two nodes each have their own', () => {
    const plain = site(2, { linkedDirs: ['uploads'] });
    const local = (one: Partial<Place>, other: Partial<Place>) =>
      localUploads(plain, [found(one), found(other, 'web2')]);
    expect(local({ mount: disk }, { mount: disk })).toEqual([
      "web1 and web2: linked directory uploads is on a disk of each node's own (ext4 from /dev/vda1 at /): what one node takes in, the others would not have. Put it on storage that all nodes mount and name it in shared.linkedDirs; if it is meant, in localDirs.",
    ]);
    expect(local({}, {})).toEqual([]);
  });
});

test('code on the storage is worth a word', () => {
  expect(codeOnStorage(shop, { ...found(), code: nfs }).join()).toContain(
    "code belongs on a disk of the node's own",
  );
  expect(codeOnStorage(shop, found())).toEqual([]);
});
