import { describe, expect, test } from 'vitest';
import { DeployError, failure, isDeployError, list } from '../../src/core/errors.ts';

describe('a failure', () => {
  test('says what happened where, with the value seen, and what to do next', () => {
    const error = failure('CHECK_FAILED', {
      node: 'web3',
      url: 'http://web3:80/up',
      attempts: 3,
      expected: '200',
      answer: '503 "starting"',
    });
    expect(error.message).toBe(
      'web3 failed its check: http://web3:80/up was expected to answer 200, after 3 attempts it answered 503 "starting".',
    );
  });

  test('is told by its code, never by its text', () => {
    const error: unknown = failure('NOTHING_TO_RESUME', {});
    expect(isDeployError(error, 'NOTHING_TO_RESUME')).toBe(true);
    expect(isDeployError(error, 'LOCKED')).toBe(false);
    expect(isDeployError(new Error('No node is locked.'))).toBe(false);
  });

  test('keeps its cause', () => {
    const cause = new Error('ECONNRESET');
    expect(
      new DeployError('NODE_UNREACHABLE', { node: 'web1', address: 'a', reason: 'r' }, cause).cause,
    ).toBe(cause);
  });

  test('of a lock says who holds it, since when, and whether that run is alive', () => {
    const lock = {
      run: 'r',
      holder: 'ada@desk',
      host: 'desk',
      reason: 'deploy main',
      startedAt: '2026-01-14T09:30:00.000Z',
      silentMs: 5000,
      intent: null,
      held: null,
    };
    const alive = failure('LOCKED', { node: 'web1', lock });
    expect(alive.message).toBe(
      'ada@desk holds the lock (on web1) since 2026-01-14T09:30:00.000Z: deploy main, from desk.',
    );
    expect(alive.hint).toContain('alive');
    expect(failure('LOCKED', { node: 'web1', lock: { ...lock, silentMs: 100_000 } }).hint).toContain(
      'last heartbeat was 100 s ago',
    );
  });

  test('quotes the end of a command’s output, and no more', () => {
    const output = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
    const { message } = failure('COMMAND_FAILED', { node: 'web1', command: 'x', status: 1, output });
    expect(message).not.toContain('line 9\n');
    expect(message).toContain('  | line 29');
  });
});

test.each([
  [[], 'nothing'],
  [['a'], 'a'],
  [['a', 'b', 'c'], 'a, b and c'],
])('%j reads as %s', (items, text) => {
  expect(list(items)).toBe(text);
});
