import { expect, test } from 'vitest';
import { makePlan } from '../../src/core/plan.ts';
import type { Preview } from '../../src/core/site.ts';
import { holdMark } from '../../src/core/step.ts';
import { flipOver, type HoldTime, type Strategy } from '../../src/core/strategy.ts';
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
