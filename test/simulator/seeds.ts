import { setMaxListeners } from 'node:events';
import { balancerKinds } from '../../src/adapters/balancers/index.ts';
import { assert } from '../../src/core/assert.ts';
import { type Fields, parseFields } from '../../src/core/field.ts';
import type { Site } from '../../src/core/site.ts';
import { type VerdictOptions, verdictOptions } from '../../src/core/verdict.ts';
import { workersHooks } from '../../src/core/workers.ts';
import type { SeededRandom } from '../../src/simulator/random.ts';
import {
  type DrawnStrategy,
  type Simulated,
  type Simulation,
  simulate,
} from '../../src/simulator/simulate.ts';
import { strategies } from '../../strategies/index.ts';

// A run waits for many nodes under one signal.
setMaxListeners(0);

/** A site whose nodes have workers that are never killed. */
export const manned = (drainMs: number): Partial<Site> => ({
  hooks: workersHooks({
    role: null,
    stop: ['true'],
    isRunning: null,
    kill: null,
    start: [['true']],
    drainMs,
  }),
});

/** Resolves once no promise has anything left to do: what is put off from among them comes after them all. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));

/** Every registered strategy, with options of the seed's. */
const draws: {
  readonly [K in keyof typeof strategies]: (random: SeededRandom, nodes: number) => DrawnStrategy;
} = {
  rolling(random, nodes) {
    const size = random.integer({ min: 1, max: Math.max(1, Math.floor(nodes / 2)) });
    const batch = random.chance(0.3) ? [1, '50%'] : [size];
    const batchMax = Math.max(1, batch.length > 1 ? Math.floor(nodes / 2) : size);
    const hold = random.chance(0.2) ? random.pick(['promote', 3000, 60_000]) : null;
    return { strategy: strategies.rolling.create({ batch, hold }), batchMax };
  },
  'all-at-once': (_random, nodes) => ({
    strategy: strategies['all-at-once'].create({}),
    batchMax: nodes,
  }),
  canary(random, nodes) {
    const size = random.integer({ min: 1, max: Math.max(1, Math.floor(nodes / 3)) });
    const half = Math.max(1, Math.floor(nodes / 2));
    const step = (count: number | '50%') => ({
      nodes: count,
      weight: random.pick([100, 100, 50, 10]),
      bake: random.pick([5000, 20_000, 60_000]),
      hold: random.chance(0.2),
    });
    const steps = random.chance(0.5) ? [step(1)] : [step(1), step('50%')];
    const lowered = steps.every(({ weight }) => weight === 100) ? 0 : half;
    const requestsMin = random.pick([1, 5, 20]);
    const options = { ...defaultsOf(verdictOptions), steps, batch: [size], requestsMin };
    return {
      strategy: strategies.canary.create(options),
      otherwise: strategies.rolling.create({ batch: [1], hold: null }),
      batchMax: Math.min(nodes, size + lowered),
    };
  },
  /** A person who holds out a whole pool keeps every flip from it: none is held once all is healed. */
  'blue-green'(random, nodes) {
    const shift = random.fork('shift').pick([[], [], [5], [10, 50]]);
    return {
      strategy: strategies['blue-green'].create({
        ...defaultsOf(strategies['blue-green'].options),
        bake: random.pick([0, 3000, 30_000, 'promote']),
        shift,
        shiftBake: random.fork('shift bake').pick([3000, 20_000]),
      }),
      batchMax: nodes,
      givesParts: shift.length > 0,
    };
  },
};

interface CanaryDraw {
  readonly weight: number;
  readonly bake?: number;
  readonly verdict?: Partial<VerdictOptions>;
}

/** A canary of one node for all seeds, for as long as there are enough answers. */
export const canaryOf =
  ({ weight, bake = 60_000, verdict = {} }: CanaryDraw) =>
  (_random: SeededRandom, nodes: number): DrawnStrategy => ({
    strategy: strategies.canary.create({
      ...defaultsOf(verdictOptions),
      requestsMin: 20,
      ...verdict,
      steps: [{ nodes: 1, weight, bake, hold: false }],
      batch: [1],
    }),
    batchMax: Math.min(nodes, 2),
  });

/** Those that renew a fleet without pools. */
const { 'blue-green': _, ...ofOnePool } = draws;

/** For at least two nodes. */
export const twoPools = draws['blue-green'];

/** The same, with two parts of the traffic before all of it. */
export const inParts = (): DrawnStrategy => ({
  strategy: strategies['blue-green'].create({
    ...defaultsOf(strategies['blue-green'].options),
    shift: [10, 50],
    shiftBake: 30_000,
    requestsMin: 20,
  }),
  batchMax: Number.POSITIVE_INFINITY,
  givesParts: true,
});

export const drawStrategy = (random: SeededRandom, nodes: number): DrawnStrategy => {
  if (nodes > 1 && random.fork('pools').chance(0.2)) return twoPools(random, nodes);
  return (random.chance(0.65) ? draws.rolling : random.pick(Object.values(ofOnePool)))(random, nodes);
};

function defaultsOf<T>(fields: Fields<T>): T {
  const result = parseFields(fields, {});
  assert(result.ok, 'every field has a default');
  return result.value;
}

/** Those that sluice has a driver for. */
const kinds = Object.fromEntries(
  Object.entries(balancerKinds).map(([kind, { capabilities }]) => [kind, capabilities]),
);

/** Without a trace, which is faster; a seed that breaks a promise is run again for its trace. */
export async function run(settings: Pick<Simulation, 'seed'> & Partial<Simulation>): Promise<Simulated> {
  // A life gives way to nothing else: what came for this process meanwhile has its turn before the next one.
  await new Promise((resolve) => setImmediate(resolve));
  const simulation = { nextTurn, strategy: drawStrategy, kinds, isTraced: false, ...settings };
  const simulated = await simulate(simulation);
  return simulated.broken.length === 0 ? simulated : simulate({ ...simulation, isTraced: true });
}

/** What a person needs who looks into a seed that failed. */
export const story = ({ seed, broken, trace }: Simulated, lines = 40): string =>
  [
    `seed ${seed}`,
    ...broken.map(({ promise, how }) => `  ${promise}: ${how}`),
    ...trace.filter((line) => !/ reads /.test(line)).slice(-lines),
  ].join('\n');
