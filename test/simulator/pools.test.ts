import { expect, test } from 'vitest';
import { seededRandom } from '../../src/simulator/random.ts';
import { drawSite } from '../../src/simulator/scenario.ts';
import type { Mutant, Simulated } from '../../src/simulator/simulate.ts';
import { strategies } from '../../strategies/index.ts';
import { run, story } from './seeds.ts';

const seeds = Array.from({ length: 80 }, (_, i) => i + 1);

/** The life of a site with two pools of one size, behind one or two balancers, under every fault. */
function live(seed: number, mutant: Mutant = {}): Promise<Simulated> {
  const random = seededRandom(seed);
  const size = random.integer({ min: 1, max: 3 });
  const nodes = 2 * size;
  const site = {
    nodes: drawSite(random, { nodes, batchMax: size }).nodes.map((node, i) => ({
      ...node,
      pool: i < size ? 'blue' : 'green',
    })),
    balancers: ['lb1', 'lb2']
      .slice(0, random.integer({ min: 1, max: 2 }))
      .map((name) => ({ name, kind: 'simulated', onUnreachable: 'stop' as const, options: {} })),
    servingMin: random.integer({ min: 0, max: size }),
  };
  const bake = random.pick<number | 'promote'>([3000, 30_000, 'promote']);
  const strategy = strategies['blue-green'].create({ bake });
  // A person who holds out a whole pool keeps every flip from it: none is held once all is healed.
  return run({ seed, nodes, site, strategy: () => ({ strategy, batchMax: nodes }), isTraced: true, mutant });
}

test('every promise holds on two pools, under every fault', { timeout: 60_000 }, async () => {
  let forth = 0;
  let back = 0;
  for (const seed of seeds) {
    const life = await live(seed);
    expect(life.broken, story(life)).toEqual([]);
    if (life.trace.some((line) => /all requests to green by run/.test(line))) forth++;
    if (life.trace.some((line) => /all requests to blue by run/.test(line))) back++;
  }
  expect(Math.min(forth, back), `of ${seeds.length} lives`).toBeGreaterThan(seeds.length / 4);
});

test('a run that believes every server to be healthy is caught', { timeout: 60_000 }, async () => {
  const ports: Mutant['ports'] = (honest) => ({
    ...honest,
    balancers: honest.balancers.map((balancer) => ({
      ...balancer,
      async observe(signal) {
        const { members, servers } = await balancer.observe(signal);
        return { members, servers: servers.map((server) => ({ ...server, health: 'up' as const })) };
      },
    })),
  });
  const broken = new Set<string>();
  for (const seed of seeds) {
    for (const { promise } of (await live(seed, { ports })).broken) broken.add(promise);
    if (broken.has('pool-whole')) return;
  }
  expect([...broken]).toContain('pool-whole');
});
