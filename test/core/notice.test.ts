import { describe, expect, test } from 'vitest';
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

describe('of a fleet', () => {
  const started: Event = {
    ...{ type: 'run-started', run: 'r1', command: 'deploy', site: 'shop', stage: 'production', atMs: 1 },
    ...{ operator: 'ada@laptop', nodes: ['group web'] },
  };
  const capacity = { min: 1, desired: 1, max: 1 };
  const [from, to] = ['ami-1', 'ami-2'].map((image) => ({ image, version: null }));
  const intent = { run: 'x', command: 'deploy', from: from!, to: to!, capacity, suspends: [] } as const;
  const taken: Event = { type: 'fleet-taken', fleet: 'group web', intent, atMs: 2 };
  const ended = (outcome: Parameters<typeof report>[0]): Event => ({
    ...{ type: 'run-ended', run: 'r1', atMs: 3 },
    report: report(outcome),
  });

  test('a run is told by its image, from when it has the fleet', () => {
    expect(noticesOf([started, taken, ended({})])).toMatchObject([
      {
        moment: 'start',
        text: 'shop/production: deploy of ami-2 begins on group web, by ada@laptop',
        nodes: ['group web'],
        release: { id: 'ami-2', revision: '' },
        startedMs: 1,
      },
      { moment: 'success', text: 'shop/production: deploy of ami-2: done, by ada@laptop' },
    ]);
  });

  test('an abort is told by the image that it goes back to', () => {
    const notices = noticesOf([{ ...started, command: 'abort' } as Event, taken, ended({})]);
    expect(notices[1]).toMatchObject({
      text: 'shop/production: abort back to ami-1: done, by ada@laptop',
      release: { id: 'ami-1' },
    });
  });

  test('a run that never had the fleet is nobody’s business', () => {
    expect(noticesOf([started, ended({ outcome: 'locked' })])).toEqual([]);
  });
});
