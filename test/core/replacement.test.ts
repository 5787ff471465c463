import { expect, test } from 'vitest';
import type { FleetInstance, Goal, GroupState } from '../../src/core/fleet.ts';
import { nextReplacement, progressOf } from '../../src/core/replacement.ts';

const [old, fresh] = ['ami-00000001', 'ami-00000002'];
const goal: Goal = {
  image: fresh,
  version: '2',
  capacity: { min: 2, desired: 3, max: 3 },
  servingMin: 3,
  surge: 1,
  suspends: ['AddToLoadBalancer'],
};
const instance = (id: string, more: Partial<FleetInstance> = {}): FleetInstance => ({
  id,
  image: old,
  address: `${id}.internal`,
  phase: 'in service',
  traffic: 'in',
  healthy: true,
  ...more,
});
const state = (instances: readonly FleetInstance[], more: Partial<GroupState> = {}): GroupState => ({
  kind: 'group',
  place: { image: fresh, version: '2' },
  capacity: { min: 2, desired: 4, max: 4 },
  suspended: ['AddToLoadBalancer'],
  instances,
  ...more,
});
const three = ['a', 'b', 'c'].map((id) => instance(id));
const next = (one: GroupState, proved: readonly string[] = []) =>
  nextReplacement(one, goal, { proved: new Set(proved) });

test('what would disturb is suspended before anything else', () => {
  const before = state(three, {
    place: { image: old, version: '1' },
    capacity: goal.capacity,
    suspended: [],
  });
  expect(next(before)).toEqual({ kind: 'suspend', processes: ['AddToLoadBalancer'] });
  expect(next({ ...before, suspended: goal.suspends })).toEqual({
    kind: 'size',
    version: '2',
    capacity: { min: 2, desired: 4, max: 4 },
  });
});

test('a new instance is proved, then takes traffic, and only then an old one leaves', () => {
  const born = instance('n', { image: fresh, traffic: 'out', healthy: false });
  expect(next(state([...three, { ...born, phase: 'starting' }]))).toMatchObject({ kind: 'wait' });
  expect(next(state([...three, born]))).toEqual({
    kind: 'prove',
    machines: [{ name: 'n', address: 'n.internal' }],
  });
  expect(next(state([...three, born]), ['n'])).toEqual({ kind: 'enable', instances: ['n'] });
  expect(next(state([...three, { ...born, traffic: 'in' }]), ['n'])).toMatchObject({ kind: 'wait' });
  const serving = { ...born, traffic: 'in', healthy: true } as const;
  expect(next(state([...three, serving]), ['n'])).toEqual({ kind: 'drain', instances: ['a'] });
  const [a, ...rest] = three as [FleetInstance, ...FleetInstance[]];
  const draining = { ...a, traffic: 'draining', healthy: false } as const;
  expect(next(state([draining, ...rest, serving]), ['n'])).toMatchObject({ kind: 'wait' });
  expect(next(state([{ ...draining, traffic: 'out' }, ...rest, serving]), ['n'])).toEqual({
    kind: 'end',
    instances: ['a'],
  });
});

test('one that does not serve leaves first, even where the floor lets nobody else', () => {
  const sick = [instance('a'), instance('b'), instance('c', { healthy: false })];
  const serving = instance('n', { image: fresh });
  expect(next(state([...sick, serving]), ['n'])).toEqual({ kind: 'drain', instances: ['c'] });
});

test('nobody leaves while nothing new was proved, however low the floor', () => {
  const low = { ...goal, servingMin: 0 };
  const unproved = instance('n', { image: fresh, phase: 'starting', traffic: 'out' });
  expect(nextReplacement(state([...three, unproved]), low, { proved: new Set() })).toMatchObject({
    kind: 'wait',
  });
});

test('an instance that is registered in part is let in, or taken out, as it should be', () => {
  const partly = instance('n', { image: fresh, traffic: 'partly', healthy: false });
  expect(next(state([...three, partly]), ['n'])).toEqual({ kind: 'enable', instances: ['n'] });
  const leaving = [instance('a', { traffic: 'partly', healthy: false }), ...three.slice(1)];
  expect(next(state([...leaving, instance('n', { image: fresh })]), ['n'])).toEqual({
    kind: 'drain',
    instances: ['a'],
  });
});

test('no more end at once than the minimum of the group lets', () => {
  const gone = three.map((one) => ({ ...one, traffic: 'out' as const, healthy: false }));
  const ready = ['n', 'o', 'p'].map((id) => instance(id, { image: fresh }));
  const proved = new Set(['n', 'o', 'p']);
  const ended = (min: number) => {
    const capacity = { min, desired: 6, max: 6 };
    const whole = { ...goal, surge: 3, capacity: { min, desired: 3, max: 6 } };
    return nextReplacement(state([...gone, ...ready], { capacity }), whole, { proved });
  };
  expect(ended(2)).toEqual({ kind: 'end', instances: ['a', 'b', 'c'] });
  expect(ended(4)).toEqual({ kind: 'end', instances: ['a', 'b'] });
});

test('at the end the capacity of before comes back, then what was suspended, and nothing else', () => {
  const ready = ['n', 'o', 'p'].map((id) => instance(id, { image: fresh }));
  const proved = ['n', 'o', 'p'];
  const wide = state(ready, { suspended: ['AddToLoadBalancer', 'Terminate'] });
  expect(next(wide, proved)).toEqual({ kind: 'size', version: '2', capacity: goal.capacity });
  const sized = { ...wide, capacity: goal.capacity };
  expect(next(sized, proved)).toEqual({ kind: 'unsuspend', processes: ['AddToLoadBalancer'] });
  expect(next({ ...sized, suspended: ['Terminate'] }, proved)).toEqual({ kind: 'done' });
});

test('of too many new ones the least useful leaves', () => {
  const ready = ['n', 'o', 'p'].map((id) => instance(id, { image: fresh }));
  const lame = instance('l', { image: fresh, traffic: 'out', healthy: false });
  expect(next(state([lame, ...ready]), ['n', 'o', 'p'])).toEqual({ kind: 'end', instances: ['l'] });
});

test('what an operator put aside is left alone', () => {
  const ready = ['n', 'o', 'p'].map((id) => instance(id, { image: fresh }));
  const aside = state([instance('s', { phase: 'aside', traffic: 'out' }), ...ready], {
    capacity: goal.capacity,
    suspended: [],
  });
  expect(next(aside, ['n', 'o', 'p'])).toEqual({ kind: 'done' });
});

test('progress is made by each that serves, leaves and ends', () => {
  const serving = instance('n', { image: fresh });
  const memory = { proved: new Set(['n']), ordered: new Set<string>() };
  const [first, ...rest] = three as [FleetInstance, ...FleetInstance[]];
  const stages = [
    state(three),
    state([...three, serving]),
    state([{ ...first, traffic: 'draining' }, ...rest, serving]),
    state([...rest, serving]),
  ].map((one) => progressOf(one, goal, memory));
  expect(stages).toEqual(stages.toSorted((a, b) => a - b));
  expect(new Set(stages).size).toBe(4);
});
