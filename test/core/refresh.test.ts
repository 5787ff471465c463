import { expect, test } from 'vitest';
import type { Goal, Refresh, RefreshedState } from '../../src/core/fleet.ts';
import { nextRefresh, orderOf } from '../../src/core/refresh.ts';

const goal: Goal = {
  image: 'ami-00000002',
  version: '2',
  capacity: { min: 2, desired: 3, max: 4 },
  servingMin: 2,
  surge: 1,
  suspends: [],
};
const state = (image: string, refresh: Partial<Refresh> | null, version = '2'): RefreshedState => ({
  kind: 'refreshed group',
  place: { image, version },
  capacity: goal.capacity,
  suspended: [],
  instances: ['a', 'b', 'c'].map((id) => ({
    id,
    image,
    address: id,
    phase: 'in service',
    traffic: 'in',
    healthy: true,
  })),
  refresh: refresh && { version: '2', state: 'under way', percent: 40, reason: null, ...refresh },
});
const nothing = { proved: new Set<string>(), ordered: new Set<string>() };
const before = (refresh: Partial<Refresh> | null) => state('ami-00000001', refresh, '1');

test('a refresh keeps to the floor and the surge, in percent', () => {
  expect(nextRefresh(before(null), goal, nothing)).toEqual({
    kind: 'refresh',
    version: '2',
    healthyMin: 67,
    healthyMax: 134,
  });
  const low = { ...goal, servingMin: 0, surge: 9 };
  expect(nextRefresh(before(null), low, nothing)).toMatchObject({ healthyMin: 0, healthyMax: 100 });
});

test('one that is under way is waited for, and one that leads elsewhere is cancelled', () => {
  expect(nextRefresh(before({}), goal, nothing)).toMatchObject({ kind: 'wait' });
  expect(nextRefresh(before({ version: '7' }), goal, nothing)).toEqual({ kind: 'cancel refresh' });
  expect(nextRefresh(before({ state: 'ending' }), goal, nothing)).toMatchObject({ kind: 'wait' });
});

test('one that failed is a failure of the run that asked for it, and begun anew by another', () => {
  const failed = before({ state: 'failed', reason: 'no capacity' });
  const asked = { ...nothing, ordered: new Set([orderOf(goal)]) };
  expect(nextRefresh(failed, goal, asked)).toEqual({ kind: 'fail', reason: 'no capacity' });
  expect(nextRefresh(failed, goal, nothing)).toMatchObject({ kind: 'refresh' });
});

test('it is done once all are new and proved', () => {
  const all = state('ami-00000002', { state: 'successful' });
  expect(nextRefresh(all, goal, nothing)).toMatchObject({ kind: 'prove' });
  expect(nextRefresh(all, goal, { ...nothing, proved: new Set(['a', 'b', 'c']) })).toEqual({ kind: 'done' });
});
