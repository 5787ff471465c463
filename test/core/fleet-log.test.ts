import { expect, test } from 'vitest';
import { type LoggedEntry, openRun, placeBefore, standing } from '../../src/core/fleet-log.ts';

const place = (n: number) => ({ image: `ami-0000000${n}`, version: `${n}` });
const entry = (number: number, more: Partial<LoggedEntry> = {}): LoggedEntry => ({
  number,
  after: number - 1,
  by: 'ann',
  atMs: 0,
  state: 'done',
  why: null,
  intent: {
    run: 'r',
    command: 'deploy',
    from: place(1),
    to: place(2),
    capacity: { min: 0, desired: 0, max: 0 },
    suspends: [],
  },
  ...more,
});

test('of two entries after the same one, the first stands', () => {
  const log = [entry(3, { after: 1, by: 'late' }), entry(1), entry(2)];
  expect(standing(log).map(({ number }) => number)).toEqual([1, 2]);
});

test.each([
  ['under way', true],
  ['going back', true],
  ['held', true],
  ['done', false],
  ['rolled back', false],
] as const)('a run that is %s has the fleet: %s', (state, isOpen) => {
  expect(openRun([entry(1), entry(2, { state })]) !== null).toBe(isOpen);
});

test('the place before is that of the deploy, whatever was rolled back since', () => {
  const deployed = entry(1);
  const failed = entry(2, {
    state: 'rolled back',
    intent: { ...deployed.intent, from: place(2), to: place(3) },
  });
  expect(placeBefore([deployed, failed], place(2))).toEqual(place(1));
  const back = entry(3, {
    intent: { ...deployed.intent, command: 'rollback', from: place(2), to: place(1) },
  });
  expect(placeBefore([deployed, failed, back], place(1))).toBeNull();
});
