/**
 * Simulates as many seeds as you like on all cores, and tells the stories of those that broke a promise:
 * `npm run simulate -- --seeds 100000 --from 1`; with `--counts`, also what the seeds met.
 */
import { parseArgs } from 'node:util';
import { swarm } from './swarm.ts';

const storiesShown = 5;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    counts: { type: 'boolean', default: false },
  },
});

const startMs = Date.now();
const seeds = Number(values.seeds);
const { broken, struck, met } = await swarm({ from: Number(values.from), seeds });
for (const one of broken.slice(0, storiesShown)) console.log(`${one.story}\n`);
for (const promise of new Set(broken.map((one) => one.promise))) {
  const ofPromise = broken.filter((one) => one.promise === promise);
  console.log(`${promise}: ${ofPromise.length} seeds: ${ofPromise.map(({ seed }) => seed).join(' ')}`);
}
if (values.counts) console.log({ struck, met });
const seconds = (Date.now() - startMs) / 1000;
console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, and ${broken.length} broke a promise.`);
process.exitCode = broken.length === 0 ? 0 : 1;
