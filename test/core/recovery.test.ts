import { describe, expect, test } from 'vitest';
import type { Before } from '../../src/core/intent.ts';
import type { Observation } from '../../src/core/observation.ts';
import { makePlan } from '../../src/core/plan.ts';
import { closedWays, recovery } from '../../src/core/recovery.ts';
import type { OnFailure } from '../../src/core/site.ts';
import { fleet, good, names, release, releaseId, site, withNode, withServer } from './fleet.ts';

const before = (count: number): Before => Object.fromEntries(names(count).map((name) => [name, release(1)]));

/** `done` nodes renewed, the next one out of rotation and changed, the others as they were. */
const failedAt = (
  count: number,
  done: number,
  out: Partial<Observation['nodes'][string]> = {},
): Observation => {
  const renewed = {
    current: { kind: 'release', id: releaseId(2) },
    releases: [good(1), good(2)],
    proved: releaseId(2),
  } as const;
  const failing = names(count)[done]!;
  const state = names(count)
    .slice(0, done)
    .reduce((observed, name) => withNode(observed, name, renewed), fleet(count));
  const changed = { ...renewed, proved: null, drained: [`lb web/${failing}`], ...out };
  return withServer(withNode(state, failing, changed), failing, { rotation: 'out', health: 'unchecked' });
};

const steps = (
  policy: OnFailure | 'interrupted',
  observed: Observation,
  servingMin = 3,
  had: Before = {},
): readonly string[] => {
  const count = Object.keys(observed.nodes).length;
  return makePlan({
    site: site(count, { servingMin }),
    strategy: recovery({ policy, before: { ...before(count), ...had }, servingMin }),
    purpose: 'recovery',
    observed,
    target: { release: release(2), nodes: names(count) },
  }).steps.map(
    ({ step }) =>
      `${step.kind} ${step.nodes.join(',')}${'release' in step ? ` ${step.release.id.slice(-1)}` : ''}`,
  );
};

describe('after a failed check', () => {
  test('rollback brings back the failed node first, then the others within the floor', () => {
    expect(steps('rollback', failedAt(5, 3))).toEqual([
      'drain web4',
      'activate web4 1',
      'check web4 1',
      'enable web4',
      'drain web1',
      'activate web1 1',
      'check web1 1',
      'enable web1',
      'drain web2',
      'activate web2 1',
      'check web2 1',
      'enable web2',
      'drain web3',
      'activate web3 1',
      'check web3 1',
      'enable web3',
    ]);
  });

  test('rollback-batch brings back only the nodes that are out', () => {
    expect(steps('rollback-batch', failedAt(5, 3))).toEqual([
      'drain web4',
      'activate web4 1',
      'check web4 1',
      'enable web4',
    ]);
  });

  test('halt changes no node, and lets one that passed serve again', () => {
    expect(steps('halt', failedAt(5, 3))).toEqual([]);
    expect(steps('halt', failedAt(5, 3, { proved: releaseId(2) }))).toEqual(['enable web4']);
  });
});

test('a node that did not change yet is put back as it is, without waiting for its requests (S37)', () => {
  const untouched = { current: { kind: 'release', id: releaseId(1) }, proved: releaseId(1) } as const;
  expect(steps('rollback', failedAt(4, 0, untouched))).toEqual(['enable web1']);
});

test('a node whose way back was never proved is checked before it serves', () => {
  const untouched = { current: { kind: 'release', id: releaseId(1) }, proved: null } as const;
  expect(steps('interrupted', failedAt(4, 0, untouched))).toEqual(['check web1 1', 'enable web1']);
});

test('nodes that had different releases return each to its own', () => {
  const mixed: Before = { web1: release(1), web2: { ...release(3), id: releaseId(3) } };
  const observed = withNode(failedAt(2, 1, { releases: [good(2), good(3)] }), 'web1', {
    current: { kind: 'release', id: releaseId(2) },
    releases: [good(1), good(2)],
  });
  const plan = makePlan({
    site: site(2, { servingMin: 1 }),
    strategy: recovery({ policy: 'rollback', before: mixed, servingMin: 1 }),
    purpose: 'recovery',
    observed,
    target: { release: release(2), nodes: names(2) },
  });
  const activated = plan.steps.flatMap(({ step }) =>
    step.kind === 'activate' ? [`${step.nodes} ${step.release.id}`] : [],
  );
  expect(activated).toEqual([`web2 ${releaseId(3)}`, `web1 ${releaseId(1)}`]);
});

describe('a node on which nothing was live before', () => {
  const had: Before = { web1: null };

  test('stays out of rotation while it has nothing to serve', () => {
    const empty = { current: { kind: 'absent' }, releases: [], proved: null } as const;
    expect(steps('rollback', failedAt(4, 0, empty), 3, had)).toEqual([]);
  });

  test('keeps no part of a weight that it was to be tried with', () => {
    const empty = { current: { kind: 'absent' }, releases: [], proved: null } as const;
    const weighed = withServer(failedAt(4, 0, empty), 'web1', { weight: 50 });
    expect(steps('rollback', weighed, 3, had)).toEqual(['shift web1']);
  });

  test('keeps what it was given, and is not drained for nothing', () => {
    const observed = withNode(fleet(3), 'web1', {
      current: { kind: 'release', id: releaseId(2) },
      releases: [good(2)],
      proved: releaseId(2),
    });
    expect(steps('rollback', observed, 3, had)).toEqual([]);
  });
});

test('without a balancer a failed batch comes back too', () => {
  const observed = { ...failedAt(3, 1, { drained: [] }), balancers: [], servers: [] };
  expect(steps('rollback-batch', observed)).toEqual(['activate web2 1', 'check web2 1']);
});

describe('with weights', () => {
  const trying = withServer(
    withNode(fleet(4), 'web1', {
      current: { kind: 'release', id: releaseId(2) },
      releases: [good(1), good(2)],
      proved: releaseId(2),
    }),
    'web1',
    { weight: 10 },
  );

  test.each<OnFailure | 'interrupted'>(['rollback', 'rollback-batch', 'interrupted'])(
    'a canary goes back, and has its whole weight before it takes traffic: %s',
    (policy) => {
      expect(steps(policy, trying)).toEqual([
        'drain web1',
        'activate web1 1',
        'check web1 1',
        'shift web1',
        'enable web1',
      ]);
    },
  );

  test('a canary is left as it is where nothing more is to change', () => {
    expect(steps('halt', trying)).toEqual([]);
  });

  test('a node that was weighed for its trial, and not changed, has its whole weight before it serves again', () => {
    const untouched = { current: { kind: 'release', id: releaseId(1) }, proved: releaseId(1) } as const;
    const weighed = withServer(failedAt(4, 0, untouched), 'web1', { weight: 10 });
    for (const policy of ['halt', 'hold', 'rollback'] as const)
      expect(steps(policy, weighed)).toEqual(['shift web1', 'enable web1']);
  });

  test('a node that changed nothing gets its weight back where it stands', () => {
    expect(steps('rollback', withServer(fleet(4), 'web2', { weight: 10 }))).toEqual(['shift web2']);
  });

  test('a node that an operator gave no weight at all keeps it', () => {
    const held = withServer(fleet(4), 'web2', { weight: 0, rotation: 'draining' });
    expect(steps('rollback', held)).toEqual([]);
  });
});

test('no node goes back behind a release that was live before and is contracted since', () => {
  const had: Before = { web1: release(2), web2: release(1) };
  const renewed = withNode(fleet(2, 2), 'web2', {
    current: { kind: 'release', id: releaseId(3) },
    irreversible: [releaseId(2)],
  });
  const intent = { before: had, nodes: ['web2'], onceAs: releaseId(3) };
  expect(closedWays(renewed, intent)).toEqual([]);
  const mark = { release: releaseId(2), hook: 'contract', state: 'begun' } as const;
  expect(closedWays(withNode(renewed, 'web1', { once: [mark] }), intent)).toEqual([releaseId(1)]);
});
