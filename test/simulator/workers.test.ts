import { expect, test } from 'vitest';
import { manned, run, story } from './seeds.ts';

test('every promise holds where nodes have workers, whose jobs may outlast a drain', async () => {
  const failed: string[] = [];
  for (let seed = 1; seed <= 100; seed++) {
    const life = await run({ seed, site: manned(seed % 2 === 0 ? 1000 : 15_000) });
    if (life.broken.length > 0) failed.push(story(life));
  }
  expect(failed.slice(0, 2).join('\n\n'), `${failed.length} seeds`).toBe('');
}, 120_000);
