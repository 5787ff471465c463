import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/core/event.ts';
import { endingText } from '../../src/reporters/ending.ts';
import { paintWith } from '../../src/reporters/paint.ts';
import { checkFailure, nodeReport, plan, report } from './example-run.ts';
import { newRelease, oldRelease, serversOn } from './example-site.ts';

const ending = (of: Report, command = 'deploy'): string =>
  endingText({ report: of, plan, intent: null, command, wanted: 'production', paint: paintWith(false) });

test('a site that needs a person is told apart by its first word, and says what is where and what to type', () => {
  const nodes = [
    nodeReport('web1', newRelease, { outMs: 2000 }),
    nodeReport('web2', oldRelease, {
      heldOut: true,
      serving: false,
      servers: serversOn('web2', { rotation: 'out' }),
    }),
    nodeReport('web3', oldRelease, {
      serving: false,
      outMs: 70_000,
      servers: serversOn('web3', { rotation: 'out', health: 'down' }),
    }),
  ];
  const warnings = ['web3 served before this run, and does not serve now.'];
  expect(
    ending(report({ outcome: 'needs a person', exit: 3, failure: checkFailure, warnings, nodes })),
  ).toBe(`
node  live            revision  lb1        lb2        out for
web1  20260114093000  3f2a9c1   in, up     in, up     2.0 s
web2  20260113090000  1b2c3d4   out, up    out, up    -           held out by an operator
web3  20260113090000  1b2c3d4   out, down  out, down  1 min 10 s  not serving

warning: web3 served before this run, and does not serve now.

THE DEPLOY FAILED after 12.4 s, AND THE SITE NEEDS A PERSON.
  web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.
  hint: its log says why.
  live: 20260114093000 (3f2a9c1) on web1; 20260113090000 (1b2c3d4) on web2, web3.
  NOT SERVING: web3.
  next:
    sluice status production    what is where now
    sluice rollback production  every node back to the release before
    sluice deploy production    the same again, once the cause is gone
`);
});

test('a failed rollback does not offer itself as the way out', () => {
  const text = ending(report({ outcome: 'needs a person', exit: 3, failure: checkFailure }), 'rollback');
  expect(text.match(/sluice rollback production/g)).toHaveLength(1);
});

describe('the last words of a run that', () => {
  const lastWords: readonly (readonly [string, Partial<Report>, string])[] = [
    [
      'was done with warnings',
      { warnings: ['w'] },
      'Done with 1 warning in 12.4 s: 20260114093000 (3f2a9c1) is live on 2 of 2 nodes, 4 of 4 serving.',
    ],
    [
      'had nothing to do',
      { outcome: 'nothing to do' },
      'Nothing to do: 20260114093000 (3f2a9c1) is live on web1, web2 already.',
    ],
    [
      'was not confirmed',
      { outcome: 'refused', exit: 2, nodes: null },
      'Not confirmed: nothing was touched.',
    ],
    [
      'was refused',
      { outcome: 'refused', exit: 2, nodes: null, failure: { code: 'X', message: 'm', hint: 'h' } },
      'Refused: nothing was touched.\n  m\n  hint: h',
    ],
    [
      'met a lock',
      { outcome: 'locked', exit: 5, nodes: null, failure: { code: 'LOCKED', message: 'm', hint: null } },
      'Locked by another run: nothing was touched.\n  m',
    ],
    [
      'was interrupted before it began',
      { outcome: 'interrupted', exit: 130, nodes: null },
      'The deploy was interrupted after 12.4 s; nothing was touched.',
    ],
  ];
  test.each(lastWords)('%s', (_, more, words) => {
    expect(ending(report(more)).trimEnd().split('\n\n').at(-1)?.trim()).toBe(words);
  });

  test('was interrupted say how to go on', () => {
    expect(ending(report({ outcome: 'interrupted', exit: 130 }))).toContain(`\
The deploy was interrupted after 12.4 s; every node is in a safe state.
  live: 20260114093000 (3f2a9c1) on web1, web2; 20260113090000 (1b2c3d4) on web3, web4.
  serving: 4 of 4.
  next:
    sluice deploy production    goes on where this run stopped
    sluice rollback production  every node back to the release before
`);
  });
});
