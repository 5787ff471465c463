import { expect, test } from 'vitest';
import { makePlan } from '../../src/core/plan.ts';
import type { Preview } from '../../src/core/site.ts';
import { holdMark } from '../../src/core/step.ts';
import { flipOver, type HoldTime, type Strategy } from '../../src/core/strategy.ts';
import { stepText } from '../../src/reporters/step-text.ts';
import { strategies } from '../../strategies/index.ts';
import { node, pooledFleet, release, site, withNode } from '../core/fleet.ts';
import { parsedDefaults } from './defaults.ts';

const settings: Preview = { urls: ['http://lb'], headers: {} };

const blueGreen = (hold: HoldTime | null = null): Strategy =>
  strategies['blue-green'].create({ ...parsedDefaults(strategies['blue-green'].options), hold });

/** The kinds of steps to release `id` on green, with the names of holds. */
const stepsTo = (
  id: number,
  strategy: Strategy,
  preview: Preview | null,
  observed = pooledFleet(2),
): readonly string[] =>
  makePlan({
    site: site(4, { nodes: ['web1', 'web2', 'web3', 'web4'].map((name) => node(name)), preview }),
    strategy,
    purpose: 'flip',
    observed,
    target: { release: release(id), nodes: ['web3', 'web4'] },
  }).steps.map(({ step }) => (step.kind === 'hold' ? `hold ${step.name}` : step.kind));

test('the pool without traffic is renewed and checked, flipped to, and baked', () => {
  expect(stepsTo(2, blueGreen(), null)).toEqual([
    'build',
    'prepare',
    'activate',
    'check',
    'flip',
    'hold bake',
  ]);
});

test('parts of the traffic come first if wanted, each baked', () => {
  const options = { ...parsedDefaults(strategies['blue-green'].options), shift: [5, 25], shiftBake: 60_000 };
  const { steps } = makePlan({
    site: site(4, { nodes: ['web1', 'web2', 'web3', 'web4'].map((name) => node(name)) }),
    strategy: strategies['blue-green'].create(options),
    purpose: 'deploy',
    observed: pooledFleet(2),
    target: { release: release(2), nodes: ['web3', 'web4'] },
  });
  expect(steps.slice(-6).map(({ step }) => stepText(step))).toEqual([
    'flip 5 % to green: web3, web4',
    'hold bake 5 %: web3, web4 for 1 min 00 s',
    'flip 25 % to green: web3, web4',
    'hold bake 25 %: web3, web4 for 1 min 00 s',
    'flip to green: web3, web4',
    'hold bake: web3, web4 for 30.0 s',
  ]);
});

test('a pool that never had a release keeps no part of the traffic', () => {
  const shared = strategies['blue-green'].create({
    ...parsedDefaults(strategies['blue-green'].options),
    shift: [5],
  });
  const empty = ['web1', 'web2'].reduce(
    (fleet, name) => withNode(fleet, name, { current: { kind: 'absent' }, releases: [], proved: null }),
    pooledFleet(2),
  );
  expect(stepsTo(2, shared, null).filter((kind) => kind === 'flip')).toHaveLength(2);
  expect(stepsTo(2, shared, null, empty).filter((kind) => kind === 'flip')).toHaveLength(1);
});

test('the way back to an older release is taken at once, without parts', () => {
  const options = { ...parsedDefaults(strategies['blue-green'].options), shift: [5] };
  const observed = {
    ...pooledFleet(2),
    balancers: pooledFleet(2).balancers.map((balancer) => ({ ...balancer, pool: 'green' })),
  };
  const nodes = Object.fromEntries(
    Object.entries(observed.nodes).map(([name, state]) => [
      name,
      state.pool === 'green'
        ? { ...state, current: { kind: 'release' as const, id: release(2).id }, proved: release(2).id }
        : state,
    ]),
  );
  const { steps } = makePlan({
    site: site(4, { nodes: ['web1', 'web2', 'web3', 'web4'].map((name) => node(name)) }),
    strategy: strategies['blue-green'].create(options),
    purpose: 'rollback',
    observed: { ...observed, nodes },
    target: { release: release(1), nodes: ['web1', 'web2'] },
  });
  expect(steps.map(({ step }) => step.kind)).toEqual(['check', 'flip', 'hold']);
});

test.each([[['5%', '5%']], [['25%', '5%']], [['100%']], [['0%']], [[5]], ['5%']])(
  'parts that do not rise from 1%% to 99%% are refused: %j',
  (shift) => {
    const { ok } = strategies['blue-green'].options.shift!.parse(shift, 'strategy.shift');
    expect(ok).toBe(false);
  },
);

test('with a preview it is shown through the balancers, and held if wanted, before the flip', () => {
  expect(stepsTo(2, blueGreen('promote'), settings).slice(3)).toEqual([
    'check',
    'preview',
    'hold flip',
    'flip',
    'hold bake',
  ]);
});

test('who goes on for a run that flipped bakes, unless that was over, and a deploy has nothing to do', () => {
  const live = {
    ...pooledFleet(2, 2),
    balancers: pooledFleet(2).balancers.map((one) => ({ ...one, pool: 'green' })),
  };
  const plan = (onceAs: boolean, passed = false): readonly string[] =>
    makePlan({
      site: site(4, { nodes: ['web1', 'web2', 'web3', 'web4'].map((name) => node(name)) }),
      strategy: blueGreen(),
      purpose: 'deploy',
      observed: passed
        ? withNode(live, 'web1', {
            once: [{ release: release(2).id, hook: holdMark('bake'), state: 'done' }],
          })
        : live,
      target: { release: release(2), nodes: ['web3', 'web4'], ...(onceAs ? { onceAs: release(2).id } : {}) },
    }).steps.map(({ step }) => (step.kind === 'hold' ? `hold ${step.name}` : step.kind));
  expect(plan(true)).toEqual(['hold bake']);
  expect(plan(true, true)).toEqual([]);
  expect(plan(false)).toEqual([]);
});

test('balancers that differ are brought together without it', () => {
  const { balancers, ...rest } = pooledFleet(2);
  const differing = {
    ...rest,
    balancers: [balancers[0]!, { ...balancers[0]!, member: 'lb-b', pool: 'green' }],
  };
  expect(stepsTo(1, flipOver, settings, differing)).toEqual(['check', 'flip']);
});

test('a flip without a build shows it as well', () => {
  expect(stepsTo(1, flipOver, settings)).toEqual(['check', 'preview', 'flip']);
  expect(stepsTo(1, flipOver, null)).toEqual(['check', 'flip']);
});
