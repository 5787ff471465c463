import { describe, expect, test } from 'vitest';
import { chooseServer, type PoolServer, recordCheck, setRotation } from '../../src/sandbox/balancer-pool.ts';

const server = (name: string, state: Partial<PoolServer> = {}): PoolServer => ({
  name,
  host: '127.0.0.1',
  port: 80,
  weight: 1,
  rotation: 'in',
  health: 'up',
  inFlight: 0,
  requests: 0,
  failures: 0,
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
