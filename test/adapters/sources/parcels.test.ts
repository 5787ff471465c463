import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parcels } from '../../../src/adapters/sources/parcels.ts';
import type { Manifest } from '../../../src/core/image.ts';
import type { Revision } from '../../../src/core/release.ts';

const digest = createHash('sha256').update('one').digest('hex');
const manifest: Manifest = [{ kind: 'file', path: 'index.php', mode: '644', bytes: 3, digest }];

test('a parcel is packed once for all who ask, and anew for who asks after that failed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-parcels-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  let asked = 0;
  const build = parcels({
    image: digest as Revision,
    manifest,
    timeSeconds: 1,
    async *content() {
      asked += 1;
      if (asked === 1) throw new Error('the store does not answer');
      yield Buffer.from('one');
    },
    known: async () => null,
    contents: () => ({ from: 'parcel' }),
    folder,
    signal: undefined,
  });
  const failing = [build.since(null), build.since(null)];
  for (const parcel of failing) await expect(parcel).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  const [first, second] = await Promise.all([build.since(null), build.since(null)]);
  expect(first).not.toBeNull();
  expect(second).toBe(first);
  expect(asked).toBe(2);
});
