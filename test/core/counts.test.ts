import { describe, expect, test } from 'vitest';
import { type Answers, answeredBetween, type Counted, freshAfter } from '../../src/core/counts.ts';

describe('answeredBetween', () => {
  test('is the sum of what the servers of each side answered in between, on all members', () => {
    const before = counted([
      ['lb1', 'web1', { requests: 100, errors: 5, refused: 9 }],
      ['lb2', 'web1', { requests: 10 }],
      ['lb1', 'web2', { requests: 1000, errors: 1 }],
      ['lb1', 'web3', { requests: 7 }],
      ['lb1', 'web4', { requests: 7 }],
    ]);
    const after = counted([
      ['lb1', 'web1', { requests: 150, errors: 6, refused: 12 }],
      ['lb2', 'web1', { requests: 30, errors: 2 }],
      ['lb1', 'web2', { requests: 1200, errors: 1, refused: 4 }],
      ['lb1', 'web3', { requests: 57, refused: 1 }],
      ['lb1', 'web4', { requests: 70, errors: 63 }],
    ]);
    expect(answeredBetween(before, after, { canary: ['web1'], others: ['web2', 'web3'] })).toEqual({
      kind: 'counts',
      canary: { requests: 70, errors: 3, refused: 3, responseMs: null },
      others: { requests: 250, errors: 0, refused: 5, responseMs: null },
    });
  });

  test.each([
    ['restarted', { incarnation: '2' }, 'lb1 was restarted or reloaded in between'],
    ['not to be reached', { unreachable: 'no answer' }, 'lb1 could not be read: no answer'],
  ])('is unknown if a member was %s', (_, change, because) => {
    const good = twoReadings();
    const other = { ...good.after, members: good.after.members.map((one) => ({ ...one, ...change })) };
    const nodes = { canary: ['web1'], others: ['web2'] };
    expect(answeredBetween(good.before, good.after, nodes)).toMatchObject({ kind: 'counts' });
    expect(answeredBetween(good.before, other, nodes)).toEqual({ kind: 'unknown', because });
    expect(answeredBetween(other, good.after, nodes)).toEqual({ kind: 'unknown', because });
  });

  test('is unknown if a member was added or went away', () => {
    const { before, after } = twoReadings();
    const fewer = { ...after, members: [] };
    const because = 'lb1 was restarted or reloaded in between';
    expect(answeredBetween(before, fewer, { canary: ['web1'], others: ['web2'] })).toEqual({
      kind: 'unknown',
      because,
    });
  });

  test('is unknown if nobody counts', () => {
    const none: Counted = { members: [], servers: [] };
    expect(answeredBetween(none, none, { canary: ['web1'], others: ['web2'] })).toEqual({
      kind: 'unknown',
      because: 'no balancer counts answers',
    });
    const { before, after } = twoReadings();
    expect(answeredBetween(before, after, { canary: ['web1'], others: ['web9'] })).toEqual({
      kind: 'unknown',
      because: 'no balancer counts answers of web9',
    });
  });

  test('is unknown if a balancer does not count the answers of a server, of either side', () => {
    const { before, after } = twoReadings();
    const blind = { ...after, servers: after.servers.map((server) => ({ ...server, answers: null })) };
    for (const [first, second] of [
      [before, blind],
      [blind, after],
    ] as const)
      expect(answeredBetween(first, second, { canary: ['web1'], others: ['web2'] })).toEqual({
        kind: 'unknown',
        because: 'answers of lb1 web/web1 are not counted',
      });
  });

  test.each(['requests', 'errors', 'refused'] as const)('is unknown if %s were set back', (counter) => {
    const { before, after } = twoReadings();
    const reset = {
      ...after,
      servers: after.servers.map((server) => ({ ...server, answers: { ...server.answers!, [counter]: 0 } })),
    };
    expect(answeredBetween(before, reset, { canary: ['web1'], others: ['web2'] })).toEqual({
      kind: 'unknown',
      because: 'the counters of lb1 web/web1 were set back in between',
    });
  });

  test('the time is the average over all answers, once none of the servers remembers what was before', () => {
    const before = counted([
      ['lb1', 'web1', { requests: 10, responseMs: 900 }],
      ['lb2', 'web1', { requests: 10, responseMs: 900 }],
      ['lb1', 'web2', { requests: 10, responseMs: 900 }],
    ]);
    const at = (second: number) =>
      answeredBetween(
        before,
        counted([
          ['lb1', 'web1', { requests: 10 + 3 * freshAfter, responseMs: 20 }],
          ['lb2', 'web1', { requests: 10 + second, responseMs: 40 }],
          ['lb1', 'web2', { requests: 10, responseMs: 900 }],
        ]),
        { canary: ['web1'], others: ['web2'] },
      );
    expect(at(freshAfter)).toMatchObject({ canary: { responseMs: 25 }, others: { responseMs: null } });
    expect(at(freshAfter - 1)).toMatchObject({ canary: { responseMs: null } });
    expect(at(0)).toMatchObject({ canary: { responseMs: 20 } });
  });
});

type Row = readonly [member: string, node: string, answers: Partial<Answers>];

const counted = (rows: readonly Row[]): Counted => ({
  members: [...new Set(rows.map(([member]) => member))].map((member) => ({
    balancer: 'lb',
    member,
    unreachable: null,
    incarnation: '1',
    pool: null,
  })),
  servers: rows.map(([member, node, answers]) => ({
    balancer: 'lb',
    member,
    node,
    server: `${member} web/${node}`,
    answers: { requests: 0, errors: 0, refused: 0, responseMs: null, ...answers },
  })),
});

const twoReadings = () => ({
  before: counted([
    ['lb1', 'web1', { requests: 9, errors: 1, refused: 1 }],
    ['lb1', 'web2', { requests: 9, errors: 1, refused: 1 }],
  ]),
  after: counted([
    ['lb1', 'web1', { requests: 10, errors: 1, refused: 1 }],
    ['lb1', 'web2', { requests: 10, errors: 1, refused: 1 }],
  ]),
});
