import { describe, expect, test } from 'vitest';
import {
  chooseServer,
  type PoolServer,
  recordAnswer,
  recordCheck,
  setRotation,
} from '../../src/sandbox/balancer-pool.ts';

const server = (name: string, state: Partial<PoolServer> = {}): PoolServer => ({
  name,
  host: '127.0.0.1',
  port: 80,
  pool: null,
  configuredWeight: 1,
  weight: 1,
  rotation: 'in',
  health: 'up',
  inFlight: 0,
  requests: 0,
  answered: 0,
  failures: 0,
  refused: 0,
  responseMs: null,
  streak: 0,
  credit: 0,
  ...state,
});

describe('chooseServer', () => {
  const turns = (servers: readonly PoolServer[], count: number): string =>
    Array.from({ length: count }, () => chooseServer(servers)?.name ?? '-').join('');

  test('takes servers in turn', () => {
    expect(turns([server('a'), server('b'), server('c')], 6)).toBe('abcabc');
  });

  test('takes a server as often as its weight says, and not in one go', () => {
    expect(turns([server('a', { weight: 4 }), server('b', { weight: 2 }), server('c')], 14)).toBe(
      'abacabaabacaba',
    );
  });

  test.each<Partial<PoolServer>>([
    { rotation: 'draining' },
    { rotation: 'out' },
    { health: 'down' },
    { health: 'starting' },
    { weight: 0 },
  ])('never takes one that is %j', (state) => {
    expect(turns([server('a'), server('b', state)], 3)).toBe('aaa');
    expect(turns([server('b', state)], 1)).toBe('-');
  });

  test('takes one that is not checked', () => {
    expect(turns([server('a', { health: 'unchecked' })], 1)).toBe('a');
  });

  test('takes none that was tried', () => {
    const [a, b] = [server('a'), server('b')];
    expect(chooseServer([a, b], new Set([a]))).toBe(b);
    expect(chooseServer([a, b], new Set([a, b]))).toBe(null);
  });
});

describe('recordCheck', () => {
  const after = (answers: string, state: Partial<PoolServer>) => {
    const one = server('a', state);
    for (const answer of answers) recordCheck(one, answer === '+', { rise: 2, fall: 3 });
    return one.health;
  };

  test.each([
    ['up', '--', 'up'],
    ['up', '---', 'down'],
    ['up', '--+--', 'up'],
    ['down', '+', 'starting'],
    ['down', '++', 'up'],
    ['down', '+-+', 'starting'],
    ['down', '+-', 'down'],
    ['starting', '+', 'starting'],
    ['starting', '++', 'up'],
    ['starting', '-', 'down'],
  ] as const)('%s, then %s: %s', (health, answers, then) => {
    expect(after(answers, { health })).toBe(then);
  });
});

describe('setRotation', () => {
  test.each(['draining', 'out'] as const)(
    'a server that was %s is checked anew before it serves',
    (rotation) => {
      const one = server('a', { rotation, streak: 100 });
      setRotation(one, 'in');
      expect(one).toMatchObject({ rotation: 'in', health: 'starting' });
      recordCheck(one, true, { rise: 2, fall: 2 });
      expect(one.health).toBe('starting');
    },
  );

  test('a server that is in and put in again goes on serving', () => {
    const one = server('a', { streak: 100 });
    setRotation(one, 'in');
    expect(one).toMatchObject({ rotation: 'in', health: 'up' });
  });

  test('a server that is not checked serves at once', () => {
    const one = server('a', { rotation: 'out', health: 'unchecked' });
    setRotation(one, 'in');
    expect(one.health).toBe('unchecked');
  });
});

describe('recordAnswer', () => {
  test.each([
    [
      { status: 200, isCutOff: false },
      { answered: 1, failures: 0, refused: 0 },
    ],
    [
      { status: 404, isCutOff: false },
      { answered: 1, failures: 0, refused: 1 },
    ],
    [
      { status: 502, isCutOff: false },
      { answered: 1, failures: 1, refused: 0 },
    ],
    [
      { status: 200, isCutOff: true },
      { answered: 1, failures: 1, refused: 0 },
    ],
    [
      { status: 404, isCutOff: true },
      { answered: 1, failures: 1, refused: 0 },
    ],
  ])('%o', (ending, counts) => {
    const web1 = server('web1');
    recordAnswer(web1, { ...ending, responseMs: null });
    expect(web1).toMatchObject({ ...counts, responseMs: null });
  });

  test('a new answer counts for its part of the average, and for a 1024th at least', () => {
    const web1 = server('web1');
    for (const responseMs of [10, 20, 60]) recordAnswer(web1, { status: 200, isCutOff: false, responseMs });
    expect(web1.responseMs).toBeCloseTo(30, 10);
    const old = server('web2', { answered: 1_000_000, responseMs: 0 });
    recordAnswer(old, { status: 200, isCutOff: false, responseMs: 1024 });
    expect(old.responseMs).toBe(1);
    for (let i = 1; i < 3072; i++) recordAnswer(old, { status: 200, isCutOff: false, responseMs: 1024 });
    expect(old.responseMs! / 1024).toBeGreaterThan(0.95);
  });
});
