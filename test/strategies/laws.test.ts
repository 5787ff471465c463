import { describe, expect, test } from 'vitest';
import { isDeployError } from '../../src/core/errors.ts';
import {
  bearingNodes,
  isHeldOut,
  isServing,
  livePool,
  mayReceive,
  type Observation,
  servingNodes,
} from '../../src/core/observation.ts';
import { makePlan, type Plan } from '../../src/core/plan.ts';
import { predict } from '../../src/core/predict.ts';
import { recovery } from '../../src/core/recovery.ts';
import type { OnFailure, Site } from '../../src/core/site.ts';
import type { HoldTime, Strategy } from '../../src/core/strategy.ts';
import { verdictOptions } from '../../src/core/verdict.ts';
import { strategies } from '../../strategies/index.ts';
import {
  chance,
  fleet,
  good,
  names,
  node,
  release,
  releaseId,
  site,
  withNode,
  withServer,
} from '../core/fleet.ts';
import { parsedDefaults } from './defaults.ts';

const seeds = Array.from({ length: 300 }, (_, seed) => seed);

interface Case {
  readonly observed: Observation;
  readonly site: Site;
}

/** A fleet of 1 to 12 nodes, each in some state that a fleet can be found in. */
function randomCase(seed: number): Case {
  const random = chance(seed);
  const count = 1 + Math.floor(random() * 12);
  let observed = fleet(count);
  for (const name of names(count)) {
    const fate = random();
    if (fate < 0.1) observed = withServer(observed, name, { rotation: 'out', health: 'unchecked' });
    else if (fate < 0.2) observed = withServer(observed, name, { health: 'down' });
    else if (fate < 0.3) observed = withServer(observed, name, { sessions: 3 });
    else if (fate < 0.4) observed = withNode(observed, name, { releases: [good(1), good(2)] });
    else if (fate < 0.45)
      observed = withNode(observed, name, {
        current: { kind: 'release', id: releaseId(2) },
        releases: [good(1), good(2)],
        proved: releaseId(2),
      });
    else if (fate < 0.5)
      observed = withServer(withNode(observed, name, { drained: [`lb web/${name}`] }), name, {
        rotation: 'out',
      });
  }
  return { observed, site: site(count, { servingMin: Math.floor(random() * count) }) };
}

/** Two pools of one size behind two balancers; what gets no traffic is in any state. */
function pooledCase(seed: number): Case & { readonly idle: readonly string[] } {
  const random = chance(seed);
  const size = 1 + Math.floor(random() * 4);
  const all = names(2 * size);
  const pool = (name: string): string => (all.indexOf(name) < size ? 'blue' : 'green');
  let observed: Observation = fleet(2 * size);
  observed = {
    ...observed,
    balancers: observed.balancers.map((one) => ({ ...one, pool: 'blue' })),
    servers: observed.servers.map((one) => ({ ...one, sessions: pool(one.node) === 'blue' ? 3 : 0 })),
  };
  for (const name of all) {
    observed = withNode(observed, name, { pool: pool(name) });
    const fate = pool(name) === 'blue' ? 1 : random();
    if (fate < 0.1) observed = withServer(observed, name, { sessions: 2 });
    else if (fate < 0.2) observed = withServer(observed, name, { health: 'down' });
    else if (fate < 0.3) observed = withNode(observed, name, { proved: null });
    else if (fate < 0.4)
      observed = withNode(observed, name, { current: { kind: 'absent' }, releases: [], proved: null });
    else if (fate < 0.5)
      observed = withServer(withNode(observed, name, { drained: [`lb web/${name}`] }), name, {
        rotation: 'out',
      });
  }
  const nodes = all.map((name) => node(name, { pool: pool(name) }));
  return {
    observed,
    site: site(2 * size, { nodes, servingMin: Math.floor(random() * (size + 1)) }),
    idle: all.filter((name) => pool(name) === 'green'),
  };
}

describe('blue-green on two pools', () => {
  const blueGreen = strategies['blue-green'].create(blueGreenOptions(60_000));
  const byParts = strategies['blue-green'].create({ ...blueGreenOptions(60_000), shift: [5, 25] });
  const planOf = (
    { observed, site: settings }: Case,
    nodes: readonly string[],
    strategy: Strategy = blueGreen,
  ): Plan =>
    makePlan({
      site: settings,
      strategy,
      purpose: 'deploy',
      observed,
      target: { release: release(2), nodes },
    });

  test('renews the idle pool, flips to it once, and touches no node that serves', () => {
    for (const seed of seeds) {
      const one = pooledCase(seed);
      const plan = planOf(one, one.idle);
      const changing = plan.steps.filter(({ step }) => ['drain', 'activate', 'enable'].includes(step.kind));
      for (const { step } of changing) for (const name of step.nodes) expect(one.idle).toContain(name);
      expect(plan.steps.filter(({ step }) => step.kind === 'flip')).toHaveLength(1);
      let state = one.observed;
      for (const { step, serving } of plan.steps) {
        if (step.kind === 'activate')
          for (const name of step.nodes) expect([seed, mayReceive(state, name)]).toEqual([seed, false]);
        state = predict(state, step);
        expect(serving).toBeGreaterThanOrEqual(one.site.servingMin);
      }
      expect(servingNodes(state)).toEqual(one.idle);
      const again = makePlan({
        site: one.site,
        strategy: blueGreen,
        purpose: 'deploy',
        observed: state,
        target: { release: release(2), nodes: one.idle },
      });
      expect(again.steps).toEqual([]);
    }
  });

  test.each<OnFailure | 'interrupted'>(['rollback', 'rollback-batch', 'interrupted'])(
    'from every prefix of a plan traffic goes back to where it was: %s',
    (policy) => {
      for (const seed of seeds.slice(0, 60)) {
        const one = pooledCase(seed);
        const before = Object.fromEntries(
          Object.values(one.observed.nodes).map(({ name, current }) => [
            name,
            current.kind === 'release' ? release(1) : null,
          ]),
        );
        let state = one.observed;
        for (const { step } of planOf(one, one.idle, byParts).steps) {
          state = predict(state, step);
          const strategy = recovery({ policy, before, pool: 'blue', servingMin: one.site.servingMin });
          const target = { release: release(2), nodes: one.idle };
          const way = makePlan({ site: one.site, strategy, purpose: 'recovery', observed: state, target });
          const end = way.steps.reduce((now, planned) => predict(now, planned.step), state);
          expect([seed, livePool(end), servingNodes(end)]).toEqual([
            seed,
            'blue',
            servingNodes(one.observed),
          ]);
        }
      }
    },
  );

  test('a halt leaves traffic where all balancers send it, and brings those together that differ', () => {
    const one = pooledCase(1);
    const planFrom = (observed: Observation) =>
      makePlan({
        site: one.site,
        strategy: recovery({ policy: 'halt', before: {}, pool: 'blue', servingMin: 0 }),
        purpose: 'recovery',
        observed,
        target: { release: release(2), nodes: one.idle },
      }).steps.map(({ step }) => step.kind);
    const flipped = planOf(one, one.idle).steps.reduce((now, { step }) => predict(now, step), one.observed);
    expect(planFrom(flipped)).toEqual([]);
    const [lb] = flipped.balancers;
    const differing = {
      ...flipped,
      balancers: [lb!, { ...lb!, member: 'lb-b', pool: 'blue' }],
    };
    expect(planFrom(differing)).toEqual(['flip']);
  });
});

const optionsOf: {
  readonly [K in keyof typeof strategies]: (random: () => number) => Record<string, unknown>;
} = {
  rolling: (random) => ({ batch: random() < 0.5 ? [1 + Math.floor(random() * 3)] : [1, '30%', '100%'] }),
  'all-at-once': () => ({}),
  canary: (random) => ({
    ...parsedDefaults(verdictOptions),
    steps: [
      { nodes: 1, weight: random() < 0.5 ? 10 : 100, bake: 1000, hold: false },
      { nodes: '30%', weight: 100, bake: 1000, hold: random() < 0.5 },
    ],
    batch: [1 + Math.floor(random() * 3)],
  }),
  'blue-green': (random) => ({
    ...blueGreenOptions(random() < 0.5 ? 'promote' : 60_000),
    shift: random() < 0.5 ? [5, 25] : [],
  }),
};

const blueGreenOptions = (bake: HoldTime): Record<string, unknown> => ({
  ...parsedDefaults(strategies['blue-green'].options),
  bake,
});

/** The plan, or null if it was refused as not safe: a strategy need not fit every fleet. */
function planned({ observed, site: settings }: Case, strategy: Strategy): Plan | null {
  try {
    const target = { release: release(2), nodes: settings.nodes.map(({ name }) => name) };
    return makePlan({ site: settings, strategy, purpose: 'deploy', observed, target });
  } catch (error) {
    if (isDeployError(error, 'PLAN_UNSAFE')) return null;
    throw error;
  }
}

/** The promises again, in words of their own: what a plan does to a fleet, step by step. */
function expectSafe(plan: Plan, { observed, site: { servingMin } }: Case): Observation {
  let state = observed;
  for (const { step } of plan.steps) {
    const before = bearingNodes(state).length;
    if (step.kind === 'activate') for (const node of step.nodes) expect(mayReceive(state, node)).toBe(false);
    if (step.kind === 'enable') {
      for (const node of step.nodes) {
        expect(isHeldOut(observed, node)).toBe(false);
        expect(state.nodes[node]?.proved).not.toBeNull();
      }
    }
    state = predict(state, step);
    const after = bearingNodes(state).length;
    expect(after >= servingMin || after >= before).toBe(true);
  }
  for (const node of servingNodes(observed)) expect(isServing(state, node)).toBe(true);
  return state;
}

describe.each(Object.entries(strategies))('%s', (name, kind) => {
  const strategyOf = (seed: number): Strategy =>
    kind.create(optionsOf[name as keyof typeof strategies](chance(seed + 1)));

  test('keeps every promise on every fleet for which it is not refused', () => {
    let safe = 0;
    for (const seed of seeds) {
      const one = randomCase(seed);
      const plan = planned(one, strategyOf(seed));
      if (!plan) continue;
      safe++;
      const end = expectSafe(plan, one);
      for (const { weight } of end.servers) expect([seed, weight]).toEqual([seed, 100]);
      for (const { name: node } of one.site.nodes)
        expect([seed, node, end.nodes[node]?.current]).toEqual([
          seed,
          node,
          { kind: 'release', id: releaseId(2) },
        ]);
    }
    expect(safe, 'seeds that led to a plan').toBeGreaterThan(seeds.length / 20);
  });

  test('has nothing to do where it is done', () => {
    for (const seed of seeds) {
      const one = randomCase(seed);
      const plan = planned(one, strategyOf(seed));
      if (!plan) continue;
      const end = plan.steps.reduce((state, { step }) => predict(state, step), one.observed);
      expect(planned({ ...one, observed: end }, strategyOf(seed))?.steps).toEqual([]);
    }
  });

  test('the names of nodes do not change how many serve', () => {
    for (const seed of seeds.slice(0, 50)) {
      const one = randomCase(seed);
      const lowest = (input: Case): number =>
        Math.min(99, ...(planned(input, strategyOf(seed))?.steps.map(({ serving }) => serving) ?? []));
      const reversed = { ...one, site: { ...one.site, nodes: one.site.nodes.toReversed() } };
      expect(lowest(reversed)).toBe(lowest(one));
    }
  });

  test.each<OnFailure | 'interrupted'>(['rollback', 'rollback-batch', 'interrupted', 'halt'])(
    'from every prefix of a plan there is a safe way on: %s',
    (policy) => {
      for (const seed of seeds.slice(0, 60)) {
        const one = randomCase(seed);
        const plan = planned(one, strategyOf(seed));
        if (!plan) continue;
        const before = Object.fromEntries(
          Object.values(one.observed.nodes).map((node) => [
            node.name,
            node.current.kind === 'release' ? release(Number(node.current.id.slice(-2))) : null,
          ]),
        );
        let state = one.observed;
        for (const { step } of plan.steps) {
          state = predict(state, step);
          const way = wayOn(one, state, recovery({ policy, before, servingMin: one.site.servingMin }));
          const end = expectSafe(way, { ...one, observed: state });
          if (policy !== 'halt')
            for (const { weight } of end.servers) expect([seed, weight]).toEqual([seed, 100]);
          if (policy !== 'rollback') continue;
          for (const [node, had] of Object.entries(before)) {
            expect([seed, node, end.nodes[node]?.current]).toEqual([
              seed,
              node,
              { kind: 'release', id: had?.id },
            ]);
          }
          for (const node of servingNodes(one.observed))
            expect([seed, node, isServing(end, node)]).toEqual([seed, node, true]);
        }
      }
    },
  );
});

/** A way on must exist: a refusal is a failure here. */
const wayOn = (one: Case, observed: Observation, strategy: Strategy): Plan =>
  makePlan({
    site: one.site,
    strategy,
    purpose: 'recovery',
    observed,
    target: { release: release(2), nodes: one.site.nodes.map(({ name }) => name) },
  });
