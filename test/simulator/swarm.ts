import { execFile, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

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

/** Lives of all these seeds, on all cores: each process takes a lot of them, and the next one, until none is left. */
export async function swarm(seeds: Seeds): Promise<Swarm> {
  await build();
  const lots = lotsOf(seeds);
  const processes = Math.min(availableParallelism(), Math.ceil(seeds.seeds / lotSize));
  const parts = (await Promise.all(Array.from({ length: processes }, () => inProcess(lots)))).flat();
  return {
    broken: parts.flatMap(({ broken }) => broken).toSorted((a, b) => a.seed - b.seed),
    struck: summed(parts.map(({ struck }) => struck)),
    met: summed(parts.map(({ met }) => met)),
  };
}

/** Modules of JavaScript call one another much faster than what a loader makes of them. Types are what `npm run lint` sees to. */
const build = (): Promise<unknown> =>
  promisify(execFile)(process.execPath, [pathOf('../../node_modules/typescript/bin/tsc'), '-p', pathOf('.')]);

const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** So few that no process has much left to do when the others are done. */
const lotSize = 25;

function* lotsOf({ from, seeds }: Seeds): Generator<Seeds, void, void> {
  for (let done = 0; done < seeds; done += lotSize)
    yield { from: from + done, seeds: Math.min(lotSize, seeds - done) };
}

function inProcess(lots: Iterator<Seeds, void, void>): Promise<readonly Swarm[]> {
  const child = fork(pathOf('./dist/test/simulator/lives.js'), {
    // Lives leave much behind that is young: more room for that is less work for the collector. And each goes other ways through much
    // code: to optimize that as early as elsewhere costs more than it brings.
    execArgv: [
      '--no-warnings',
      '--max-semi-space-size=64',
      '--always-sparkplug',
      '--interrupt-budget=400000',
    ],
  });
  const parts: Swarm[] = [];
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      const { value: lot } = lots.next();
      if (lot) {
        child.send(lot);
        return;
      }
      resolve(parts);
      child.disconnect();
    };
    child.on('message', (part) => {
      parts.push(part as Swarm);
      goOn();
    });
    child.once('exit', (status) => reject(new Error(`a process ended early, with status ${status}`)));
    goOn();
  });
}

function summed(parts: readonly Counts[]): Counts {
  const all: Record<string, number> = {};
  for (const part of parts)
    for (const [name, times] of Object.entries(part)) all[name] = (all[name] ?? 0) + times;
  return all;
}
