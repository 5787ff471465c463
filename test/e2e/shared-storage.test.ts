import { beforeAll, describe, expect, test } from 'vitest';
import { inKernel } from '../lab/kernel.ts';
import type { StorageResult } from '../lab/storage-program.ts';

/** Two nodes, and an NFS server, in a kernel of their own. */
let seen: StorageResult;
/** Half a minute where the machine has nothing else to do, minutes where it has. */
const timeoutMs = 480_000;
const modules = ['nfsd', 'nfs', 'nfsv4'];
beforeAll(async () => {
  seen = (await inKernel('storage-program.ts', { timeoutMs, modules })) as StorageResult;
}, timeoutMs + 10_000);

describe('uploads on a real NFS mount', () => {
  test('are ready when all nodes mount the same export, and the proof leaves nothing behind', () => {
    expect(seen.mounted, seen.mounted.output).toMatchObject({ exit: 0 });
    expect(seen.made).toEqual(['uploads']);
  });

  test('that one node takes in are there on the other', () => {
    expect(seen.upload).toBe('a cat\n');
  });

  test('are shared by the settings and the line of fstab of the WordPress example', () => {
    expect(seen.example, seen.example.output).toMatchObject({ exit: 0 });
    expect(seen.exampleUpload).toBe('nfs\na cat\n');
  });

  test('are refused while a node lacks the mount, which is named; nothing is made in its place', () => {
    const sentence =
      /web2: \/mnt\/shop\/uploads was expected on a mount of nfs \(nfs or nfs4\), but it is on tmpfs from tmpfs at \/mnt\./;
    for (const { exit, output } of [seen.unmounted, seen.deployUnmounted]) {
      expect(exit, output).toBe(2);
      expect(output).toMatch(sentence);
      expect(output).not.toContain('web1:');
    }
    expect(seen.madeUnmounted).toEqual([]);
  });

  test('are refused when two nodes mount two exports', () => {
    expect(seen.different.exit).toBe(2);
    expect(seen.different.output).toMatch(
      /web2: \/mnt\/shop\/uploads \(nfs4 from 127\.0\.0\.1:\/b at \/mnt\/shop\) was expected to be the storage that web1 has there \(nfs4 from 127\.0\.0\.1:\/a at \/mnt\/shop\), but a file that web1 wrote was not seen/,
    );
  });

  test('are refused within the time limit once the server is gone, and no more processes hang the second time', () => {
    for (const { exit, output, tookMs } of seen.stale) {
      expect(exit, output).toBe(2);
      for (const node of ['web1', 'web2'])
        expect(output).toContain(
          `${node}: /mnt/shop/uploads did not answer within 10 s: its mount (nfs4 from 127.0.0.1:/a at /mnt/shop) is stale.`,
        );
      expect(tookMs).toBeLessThan(120_000);
    }
    const [first, second] = seen.hanging;
    expect(first).toHaveLength(2);
    expect(second).toEqual(first);
  });
});
