import { describe, expect, test } from 'vitest';
import type { Observation } from '../../src/core/observation.ts';
import { brokenPromises } from '../../src/core/proof.ts';
import {
  activate,
  check,
  drain,
  enable,
  flip,
  hold,
  prepare,
  type Step,
  shift,
} from '../../src/core/step.ts';
import { fleet, good, names, pooledFleet, release, releaseId, withNode, withServer } from './fleet.ts';

const verdict = {
  requestsMin: 1,
  tolerance: 0,
  falseAlarms: 0.01,
  falseAlarmsRefused: 0.01,
  othersErrorsMax: 1,
  responseMax: null,
};

const target = { release: release(2), nodes: names(4) };

/** What a careful strategy does with these nodes. */
const renew = (nodes: readonly string[]): readonly Step[] => [
  drain(nodes),
  activate(nodes, target),
  check(nodes, target),
  enable(nodes),
];

const safe: readonly Step[] = [prepare(names(4), target), ...names(4).flatMap((name) => renew([name]))];

const broken = (
  steps: readonly Step[],
  observed: Observation = fleet(4),
  servingMin = 3,
): readonly string[] => brokenPromises({ strategy: 'test', observed, servingMin, steps });

/** The safe plan without its first step of a kind. */
const without = (kind: Step['kind']): readonly Step[] => {
  const index = safe.findIndex((step) => step.kind === kind);
  return safe.filter((_, i) => i !== index);
};

test('a plan that keeps every promise is not refused', () => {
  expect(broken(safe)).toEqual([]);
});

describe('a plan is refused', () => {
  test('that goes below the floor', () => {
    const steps = [prepare(names(4), target), ...renew(['web1', 'web2']), ...renew(['web3', 'web4'])];
    expect(broken(steps)).toEqual([
      'step 2 (drain web1 and web2): it would leave 2 nodes serving, and servingMin is 3',
      'step 6 (drain web3 and web4): it would leave 2 nodes serving, and servingMin is 3',
    ]);
  });

  test('that lowers the number of serving nodes where it is below the floor already', () => {
    const observed = withServer(withServer(fleet(4), 'web1', { health: 'down' }), 'web2', { health: 'down' });
    expect(broken([drain(['web3'])], observed)[0]).toContain('it would leave 1 nodes serving');
  });

  test('that brings assets to a node after another serves pages that need them', () => {
    const steps = names(4).flatMap((name) => [prepare([name], target), ...renew([name])]);
    const input = { strategy: 'test', observed: fleet(4), servingMin: 3, steps };
    expect(brokenPromises({ ...input, hasAssets: true })).toContain(
      `step 6 (prepare web2): it would bring the assets of release ${releaseId(2)} after a node serves its pages`,
    );
    expect(brokenPromises(input)).toEqual([]);
    expect(brokenPromises({ ...input, steps: safe, hasAssets: true })).toEqual([]);
  });

  test('that leaves a node with a part of its weight, or shifts it to nothing', () => {
    expect(broken([shift(['web1'], 10)])).toEqual(['the end: web1 would be left with a part of its weight']);
    expect(broken([shift(['web1'], 0), shift(['web1'], 100)])).toEqual([
      'step 1 (shift web1): a weight is a whole percentage from 1 to 100, and it is 0',
    ]);
  });

  test('that goes below the floor by weights', () => {
    const steps = [shift(['web1', 'web2'], 50), shift(['web1', 'web2'], 100)];
    expect(broken(steps)).toEqual([
      'step 1 (shift web1 and web2): it would leave 2 nodes serving, and servingMin is 3',
    ]);
  });

  test('that compares a canary with nodes of its own release, or judges one that has another', () => {
    const judged = { release: releaseId(2), others: ['web1', 'web3'], options: verdict };
    const bake = hold(['web1', 'web2'], target, { name: 'canary 1', forMs: 1000, judged });
    expect(broken([prepare(names(4), target), ...renew(['web1']), bake])).toEqual([
      `step 6 (hold web1 and web2): web2 would be judged, and has no ${releaseId(2)}`,
      `step 6 (hold web1 and web2): web1 would be the measure of ${releaseId(2)}, which it has itself`,
    ]);
  });

  test('that changes a node while requests may come', () => {
    expect(broken(without('drain'))).toContain(
      'step 2 (activate web1): web1 would change while a balancer may still send it requests',
    );
  });

  test('that enables a node before it answered its checks', () => {
    expect(broken(without('check'))).toContain(
      'step 4 (enable web1): web1 would take traffic before it answered its checks after its last change',
    );
  });

  test('that checks a node and then changes it again', () => {
    const steps = [
      prepare(['web1'], target),
      drain(['web1']),
      check(['web1'], target),
      activate(['web1'], target),
      enable(['web1']),
    ];
    expect(broken(steps)[0]).toContain('before it answered its checks after its last change');
  });

  test('that makes a release live where it is not whole', () => {
    expect(broken(without('prepare'))[0]).toBe(
      `step 2 (activate web1): web1 does not have release ${releaseId(2)}, whole`,
    );
  });

  test('that has an unproved release on two batches', () => {
    const steps = [
      prepare(names(4), target),
      drain(['web1']),
      activate(['web1'], target),
      drain(['web2']),
      activate(['web2'], target),
      check(['web1', 'web2'], target),
      enable(['web1', 'web2']),
    ];
    expect(broken(steps, fleet(4), 2)).toEqual([
      'step 5 (activate web2): web1 has the new release and has not answered its checks yet',
    ]);
  });

  test('that deletes the way back', () => {
    const steps: readonly Step[] = [
      ...safe,
      { kind: 'cleanup', nodes: ['web2'], remove: { web2: [releaseId(1)] } },
    ];
    expect(broken(steps)).toContain(`step 18 (cleanup web2): web2 would lose ${releaseId(1)}, the way back`);
  });

  test('that deletes the live release', () => {
    const steps: readonly Step[] = [
      ...safe,
      { kind: 'cleanup', nodes: ['web2'], remove: { web2: [releaseId(2)] } },
    ];
    expect(broken(steps)).toContain('step 18 (cleanup web2): web2 would lose its live release');
  });

  test('that puts back what an operator took out', () => {
    const observed = withServer(fleet(4), 'web2', { rotation: 'out' });
    expect(broken(safe, observed, 2)).toContain('step 9 (enable web2): web2 was taken out by an operator');
  });

  test('that leaves a node out of rotation at its end', () => {
    expect(broken(safe.slice(0, -1))).toEqual(['the end: web4 serves now and would be left out of rotation']);
  });

  test('that runs once what is marked once, twice', () => {
    const migrate: Step = {
      kind: 'hook',
      nodes: ['web1'],
      hook: 'migrate',
      point: 'after:prepare',
      once: true,
      onceAs: releaseId(2),
      release: release(2),
    };
    expect(broken([migrate, ...safe, migrate])).toEqual([
      'step 19 (hook web1): hook migrate would run twice, and it is marked once',
    ]);
  });

  test('that names a node that is not there', () => {
    expect(broken([drain(['web9'])])).toContain('step 1 (drain web9): there is no node web9');
  });
});

test('a node that runs the release already is not held against the next batch', () => {
  const observed = withNode(fleet(4), 'web1', {
    current: { kind: 'release', id: releaseId(2) },
    releases: [good(1), good(2)],
    proved: null,
  });
  expect(broken([prepare(names(4), target), ...renew(['web2'])], observed)).toEqual([]);
});

describe('two pools', () => {
  const green = ['web3', 'web4'];
  const toGreen: readonly Step[] = [
    prepare(green, target),
    activate(green, target),
    check(green, target),
    flip(green, 'green'),
  ];

  test('nodes of the pool that gets no traffic change without leaving rotation', () => {
    expect(broken(toGreen, pooledFleet(2), 2)).toEqual([]);
  });

  test('nodes of the pool that gets it do not', () => {
    const blue = ['web1', 'web2'];
    const steps = [prepare(blue, target), activate(blue, target), check(blue, target)];
    expect(broken(steps, pooledFleet(2), 2)).toEqual([
      'step 2 (activate web1 and web2): web1 would change while a balancer may still send it requests',
      'step 2 (activate web1 and web2): web2 would change while a balancer may still send it requests',
    ]);
  });

  test('of a balancer that does not say where traffic goes, every pool may get it', () => {
    const observed = pooledFleet(2);
    const mute = { ...observed, balancers: observed.balancers.map((one) => ({ ...one, pool: null })) };
    expect(broken(toGreen, mute, 2).join()).toContain('web3 would change while a balancer may');
  });

  test('a pool does not go live before it answered its checks', () => {
    const unchecked = toGreen.filter(({ kind }) => kind !== 'check');
    expect(broken(unchecked, pooledFleet(2), 2)).toEqual(
      green.map(
        (node) =>
          `step 3 (flip web3 and web4): ${node} would take traffic before it answered its checks after its last change`,
      ),
    );
  });

  test('a pool does not go live with two releases', () => {
    const [one] = green;
    const steps = [
      prepare([one!], target),
      activate([one!], target),
      check([one!], target),
      flip(green, 'green'),
    ];
    expect(broken(steps, pooledFleet(2), 2)).toEqual([
      `step 4 (flip web3 and web4): pool green would serve ${releaseId(2)} and ${releaseId(1)} at the same time`,
    ]);
  });

  test('only the way back may lead to a pool of two releases', () => {
    const mixed = withNode(pooledFleet(2), 'web4', {
      current: { kind: 'release', id: releaseId(2) },
      releases: [good(1), good(2)],
      proved: releaseId(2),
    });
    const input = { strategy: 'test', observed: mixed, servingMin: 2, steps: [flip(green, 'green')] };
    expect(brokenPromises(input)).toHaveLength(1);
    expect(brokenPromises({ ...input, goesBack: true })).toEqual([]);
  });

  test('a pool does not go live with fewer nodes than the floor, nor with none', () => {
    const held = withServer(pooledFleet(2), 'web4', { rotation: 'out', health: 'unchecked' });
    expect(broken([flip(green, 'green')], held, 2)).toEqual([
      'step 1 (flip web3 and web4): it would leave 1 nodes serving, and servingMin is 2',
    ]);
    const empty = withServer(held, 'web3', { rotation: 'out', health: 'unchecked' });
    expect(broken([flip(green, 'green')], empty, 0)).toEqual([
      'step 1 (flip web3 and web4): pool green has no node that could serve',
    ]);
  });

  test('a part of the traffic is a whole percentage, and a way to all of it', () => {
    expect(broken([flip(green, 'green', 5), flip(green, 'green')], pooledFleet(2), 2)).toEqual([]);
    expect(broken([flip(green, 'green', 5)], pooledFleet(2), 2)).toEqual([
      'the end: pool green would be left with a part of the traffic',
    ]);
    for (const share of [0, 100, 2.5])
      expect(broken([flip(green, 'green', share), flip(green, 'green')], pooledFleet(2), 2)).toEqual([
        `step 1 (flip web3 and web4): a part of the traffic is a whole percentage from 1 to 99, and it is ${share}`,
      ]);
  });

  test('no node of either pool changes while both get traffic', () => {
    const change = activate(['web1'], { release: release(2), nodes: ['web1'] });
    expect(
      broken([flip(green, 'green', 5), change, flip(green, 'green')], pooledFleet(2), 0).join('\n'),
    ).toContain('web1 would change while a balancer may still send it requests');
  });

  test('a flip names the whole pool, and nothing else', () => {
    expect(broken([flip(['web1', 'web3'], 'green')], pooledFleet(2), 2)).toEqual([
      'step 1 (flip web1 and web3): web4 of pool green would go live unnamed',
      'step 1 (flip web1 and web3): web1 is not of pool green',
    ]);
  });
});
