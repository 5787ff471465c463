import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { run, story } from './seeds.ts';

/** Seeds from `from` on, as many as `seeds`. */
export interface Seeds {
  readonly from: number;
  readonly seeds: number;
}

export interface Swarm {
  /** Seeds that broke a promise, in order. */
  readonly broken: readonly BrokenSeed[];
  /** How often each fault struck. */
  readonly struck: Counts;
  /** In how many lives each was met: how commands ended, kinds of steps, commands in each state of the site. */
  readonly met: Counts;
}

export interface BrokenSeed {
  readonly seed: number;
  readonly promise: string;
  readonly how: string;
  /** For a person: what led there, and how to see it again. */
  readonly story: string;
}

export type Counts = Readonly<Record<string, number>>;

/** Lives of all these seeds, on all cores: each process takes every n-th. */
export async function swarm({ from, seeds }: Seeds): Promise<Swarm> {
  const stride = Math.min(seeds, availableParallelism());
  const shares = Array.from({ length: stride }, (_, i) => ({ from: from + i, end: from + seeds, stride }));
  const parts = await Promise.all(shares.map(inProcess));
  return {
    broken: parts.flatMap(({ broken }) => broken).toSorted((a, b) => a.seed - b.seed),
    struck: summed(parts.map(({ struck }) => struck)),
    met: summed(parts.map(({ met }) => met)),
  };
}

interface Share {
  readonly from: number;
  readonly end: number;
  readonly stride: number;
}

function inProcess(share: Share): Promise<Swarm> {
  const child = fork(fileURLToPath(import.meta.url), [shareFlag, JSON.stringify(share)], {
    // Lives leave much behind that is young: more room for that is less work for the collector.
    execArgv: ['--no-warnings', '--max-semi-space-size=64', '--import', 'jiti/register'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (part) => resolve(part as Swarm));
    child.once('exit', (status) => reject(new Error(`a process ended early, with status ${status}`)));
  });
}

const shareFlag = '--share-of-swarm';

async function simulateShare({ from, end, stride }: Share): Promise<Swarm> {
  const broken: BrokenSeed[] = [];
  const struck: Record<string, number> = {};
  const met: Record<string, number> = {};
  for (let seed = from; seed < end; seed += stride) {
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

function summed(parts: readonly Counts[]): Counts {
  const all: Record<string, number> = {};
  for (const part of parts) for (const [name, times] of Object.entries(part)) count(all, name, times);
  return all;
}

const [flag, share] = process.argv.slice(2);
if (flag === shareFlag && share !== undefined) {
  process.once('disconnect', () => process.exit());
  const part = await simulateShare(JSON.parse(share) as Share);
  process.send!(part, () => process.exit());
}
