import { expect, test } from 'vitest';
import { nextEnvironment, swapTo, updateOf } from '../../src/core/environments.ts';
import type { Environment } from '../../src/core/fleet.ts';

const [old, fresh] = ['ami-00000001', 'ami-00000002'];
const environment = (name: string, more: Partial<Environment> = {}): Environment => ({
  name,
  image: old,
  isLive: true,
  status: 'ready',
  health: 'good',
  address: `${name}.internal`,
  ...more,
});
const next = (environments: readonly Environment[], proved: string[] = [], ordered: string[] = []) =>
  nextEnvironment(
    { kind: 'environments', environments },
    { image: fresh },
    { proved: new Set(proved), ordered: new Set(ordered) },
  );

test('one environment is updated, waited for, proved, and done', () => {
  expect(next([environment('shop')])).toEqual({ kind: 'update', environment: 'shop', image: fresh });
  const updated = environment('shop', { image: fresh });
  expect(next([{ ...updated, status: 'changing' }])).toMatchObject({ kind: 'wait' });
  expect(next([{ ...updated, health: 'poor' }])).toMatchObject({ kind: 'wait' });
  expect(next([updated])).toMatchObject({ kind: 'prove' });
  expect(next([updated], ['shop'])).toEqual({ kind: 'done' });
});

test('Ready with the image of before is a failure of what was asked', () => {
  const ordered = [updateOf('shop', fresh)];
  expect(next([environment('shop')], [], ordered)).toMatchObject({ kind: 'fail' });
});

test('of two, the names are swapped once the other one is proved, and once only', () => {
  const pair = [environment('blue'), environment('green', { isLive: false, image: fresh })];
  expect(next(pair)).toMatchObject({ kind: 'prove' });
  expect(next(pair, ['green'])).toEqual({ kind: 'swap', from: 'blue', to: 'green' });
  expect(next(pair, ['green'], [swapTo('green')])).toMatchObject({ kind: 'wait' });
});

test('an environment that nobody could ask gets no visitors', () => {
  const green = environment('green', { isLive: false, image: fresh, address: null });
  expect(next([environment('blue'), green])).toEqual({
    kind: 'wait',
    until: 'environment green has an address',
  });
});

test('without a live one, or with one that is gone, nothing is guessed', () => {
  expect(next([environment('blue', { isLive: false })])).toMatchObject({ kind: 'fail' });
  expect(next([environment('blue', { status: 'gone' })])).toMatchObject({ kind: 'fail' });
});
