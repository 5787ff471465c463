import { expect, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { noticesOfRun } from '../../src/core/notice.ts';
import { checkFailure, failedRun, goodRun, report, target } from '../reporters/example-run.ts';

const noticesOf = (events: readonly Event[]) =>
  events.map(noticesOfRun()).filter((notice) => notice !== null);

test('a good run is told at its beginning and its end', () => {
  const notices = noticesOf(goodRun);
  expect(notices.map(({ moment, text }) => [moment, text])).toEqual([
    ['start', 'shop/production: deploy of 3f2a9c1 as 20260114093000 begins on 2 nodes, by ada@laptop'],
    ['success', 'shop/production: deploy of 3f2a9c1 as 20260114093000: done, by ada@laptop'],
  ]);
  expect(notices[1]).toMatchObject({ ...target, run: 'r1', command: 'deploy', startedMs: goodRun[0]!.atMs });
});

test('a run that went back says why', () => {
  const [, last] = noticesOf(failedRun);
  expect(last?.moment).toBe('rollback');
  expect(last?.evidence.slice(0, 2)).toEqual([checkFailure.message, 'hint: its log says why.']);
});

const endingAs = (outcome: Parameters<typeof report>[0]) =>
  noticesOf([...goodRun.slice(0, -1), { atMs: 1, type: 'run-ended', run: 'r1', report: report(outcome) }])[1];

test.each([
  ['held', 'hold'],
  ['needs a person', 'failure'],
  ['interrupted', 'failure'],
  ['done in part', 'failure'],
] as const)('%s is told as %s', (outcome, moment) => {
  expect(endingAs({ outcome, behind: ['web3'] })).toMatchObject({ moment, evidence: ['behind: web3'] });
});

test('a run that never had the lock is nobody’s business', () => {
  const events = goodRun.filter(({ type }) => type !== 'locked');
  expect(noticesOf(events)).toEqual([]);
});
