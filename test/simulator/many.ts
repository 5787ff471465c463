/**
 * Simulates as many seeds as you like on all cores, and tells the stories of those that broke a promise:
 * `npm run simulate -- --seeds 100000 --from 1`.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run, story } from './seeds.ts';

interface Share {
  readonly from: number;
  readonly seeds: number;
  readonly stride: number;
}

interface Result {
  readonly broken: readonly { readonly seed: number; readonly promise: string; readonly story: string }[];
}

const storiesShown = 5;

async function simulateShare({ from, seeds, stride }: Share): Promise<Result> {
  const broken: Result['broken'][number][] = [];
  for (let seed = from; seed < from + seeds; seed += stride) {
    const simulated = await run({ seed });
    const [first] = simulated.broken;
    if (first) broken.push({ seed, promise: first.promise, story: story(simulated) });
  }
  return { broken };
}

function inProcess(share: Share): Promise<Result> {
  const child = fork(fileURLToPath(import.meta.url), ['--share', JSON.stringify(share)]);
  return new Promise((resolve, reject) => {
    child.once('message', (result) => resolve(result as Result));
    child.once('exit', (status) => reject(new Error(`a process ended early, with status ${status}`)));
  });
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    share: { type: 'string' },
  },
});

if (values.share !== undefined) {
  const result = await simulateShare(JSON.parse(values.share) as Share);
  process.send!(result, () => process.exit());
} else {
  const startMs = Date.now();
  const [seeds, from] = [Number(values.seeds), Number(values.from)];
  const stride = availableParallelism();
  const shares = Array.from({ length: stride }, (_, i) => ({ from: from + i, seeds: seeds - i, stride }));
  const results = await Promise.all(shares.map(inProcess));
  const broken = results.flatMap((result) => result.broken).toSorted((a, b) => a.seed - b.seed);
  for (const one of broken.slice(0, storiesShown)) console.log(`${one.story}\n`);
  for (const promise of new Set(broken.map((one) => one.promise))) {
    const seedsOf = broken.filter((one) => one.promise === promise).map(({ seed }) => seed);
    console.log(`${promise}: ${seedsOf.length} seeds: ${seedsOf.join(' ')}`);
  }
  const seconds = (Date.now() - startMs) / 1000;
  console.log(`${seeds} seeds in ${seconds.toFixed(1)} s, and ${broken.length} broke a promise.`);
  process.exitCode = broken.length === 0 ? 0 : 1;
}
