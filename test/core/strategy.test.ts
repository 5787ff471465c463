import { describe, expect, test } from 'vitest';
import { batches, batchSizes, outdated, weakestFirst } from '../../src/core/strategy.ts';
import { fleet, names, release, releaseId, withNode, withServer } from './fleet.ts';

describe('batches', () => {
  test('ten nodes and [1, 30%, 100%] give batches of 1, 3 and 6 (S54)', () => {
    expect(batches(names(10), [1, '30%', '100%']).map((batch) => batch.length)).toEqual([1, 3, 6]);
  });

  test('a percentage is at least one node (S54)', () => {
    expect(batches(names(3), ['10%']).map((batch) => batch.length)).toEqual([1, 1, 1]);
  });

  test('the last size repeats', () => {
    expect(batches(names(7), [1, 2]).map((batch) => batch.length)).toEqual([1, 2, 2, 2]);
  });

  test('every node is in exactly one batch, in order', () => {
    expect(batches(names(9), ['40%']).flat()).toEqual(names(9));
  });
});

describe('the batch setting', () => {
  test.each([
    [2, [2]],
    ['3', [3]],
    ['30%', ['30%']],
    [
      [1, '30%', '100%'],
      [1, '30%', '100%'],
    ],
  ])('reads %j', (value, expected) => {
    expect(batchSizes.parse(value, 'batch')).toEqual({ ok: true, value: expected });
  });

  test.each([
    [0, 'batch: expected'],
    ['0%', 'batch: expected'],
    ['110%', 'batch: expected'],
    [1.5, 'batch: expected'],
    [[1, 'many'], 'batch[1]: expected'],
    [[], 'batch: expected at least 1 entry'],
  ])('refuses %j', (value, start) => {
    const result = batchSizes.parse(value, 'batch');
    expect(result.ok).toBe(false);
    expect(result.ok || result.problems[0]).toContain(start);
  });
});

test('a node is outdated by its live release, or by what an earlier run left', () => {
  const observed = withNode(withNode(fleet(3, 2), 'web2', { drained: ['lb web/web2'] }), 'web3', {
    current: { kind: 'release', id: releaseId(1) },
  });
  expect(outdated(observed, { release: release(2), nodes: names(3) })).toEqual(['web2', 'web3']);
});

test('nodes that no balancer has come last', () => {
  const observed = fleet(3);
  const servers = observed.servers.filter(({ node }) => node !== 'web1');
  expect(weakestFirst({ ...observed, servers }, names(3))).toEqual(['web2', 'web3', 'web1']);
});

test('nodes that serve nothing come first (S43)', () => {
  expect(weakestFirst(withServer(fleet(3), 'web3', { health: 'down' }), names(3))).toEqual([
    'web3',
    'web1',
    'web2',
  ]);
});
