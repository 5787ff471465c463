import { existsSync } from 'node:fs';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { buildPrefix, sweepBuilds } from '../../../src/adapters/sources/leftovers.ts';

test('the folder of a build that was killed goes after a day, and one that may be in use stays', async () => {
  const [old, fresh] = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), buildPrefix))));
  onTestFinished(() => rm(fresh!, { recursive: true, force: true }));
  const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
  await utimes(old!, twoDaysAgo, twoDaysAgo);
  await sweepBuilds(Date.now());
  expect([existsSync(old!), existsSync(fresh!)]).toEqual([false, true]);
});
