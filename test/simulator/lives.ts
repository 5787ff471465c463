/** One of the processes of a swarm: for each lot of seeds that it is sent it sends back what became of them. */

import { run, story } from './seeds.ts';
import type { BrokenSeed, Seeds, Swarm } from './swarm.ts';

process.once('disconnect', () => process.exit());
process.on('message', async (lot) => {
  process.send!(await simulated(lot as Seeds));
});

async function simulated({ from, seeds }: Seeds): Promise<Swarm> {
  const broken: BrokenSeed[] = [];
  const struck: Record<string, number> = {};
  const met: Record<string, number> = {};
  for (let seed = from; seed < from + seeds; seed++) {
    const life = await run({ seed });
    const [first] = life.broken;
    if (first) broken.push({ seed, ...first, story: `${story(life)}\n${replay(seed)}` });
    for (const [fault, times] of life.struck) count(struck, fault, times);
    for (const mark of new Set([...life.covered, ...life.ends])) count(met, mark, 1);
  }
  return { broken, struck, met };
}

const replay = (seed: number): string => `replay: npm run simulate -- --seeds 1 --from ${seed}`;

function count(counts: Record<string, number>, name: string, times: number): void {
  counts[name] = (counts[name] ?? 0) + times;
}
