import { expect, test } from 'vitest';
import { run, story, twoPools } from './seeds.ts';

const seeds = Array.from({ length: 80 }, (_, i) => i + 1);

test('every promise holds on two pools, under every fault', async () => {
  let forth = 0;
  let back = 0;
  for (const seed of seeds) {
    const life = await run({ seed, nodes: 2 + (seed % 5), strategy: twoPools, isTraced: true });
    expect(life.broken, story(life)).toEqual([]);
    if (life.trace.some((line) => /all requests to green by run/.test(line))) forth++;
    if (life.trace.some((line) => /all requests to blue by run/.test(line))) back++;
  }
  expect(Math.min(forth, back), `of ${seeds.length} lives`).toBeGreaterThan(seeds.length / 4);
});
