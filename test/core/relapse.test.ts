import { describe, expect, test } from 'vitest';
import type { Answered } from '../../src/core/counts.ts';
import { judgeFlip, relapseOptions } from '../../src/core/relapse.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import { parsedDefaults } from '../strategies/defaults.ts';

const options = parsedDefaults(relapseOptions);

const failed = (errors: number, requests: number): Answered => ({
  kind: 'counts',
  answers: { requests, errors, refused: 0, responseMs: null },
});

describe('a pool that all traffic was flipped to', () => {
  test('fails as soon as it answers clearly more errors than the one before', () => {
    const { verdict, reason } = judgeFlip({ before: failed(2, 5000), since: failed(30, 1000) }, 1, options);
    expect([verdict, reason]).toEqual([
      'fail',
      'The pool failed 30 of 1,000 requests (3 %), the one before it 2 of 5,000 requests (0.04 %): chance does not do that.',
    ]);
  });

  test('passes with as many errors as there were before, and with somewhat more', () => {
    for (const errors of [0, 2, 4])
      expect(judgeFlip({ before: failed(10, 5000), since: failed(errors, 1000) }, 1, options)).toMatchObject({
        verdict: 'pass',
      });
  });

  test.each<[string, Answered, Answered, RegExp]>([
    [
      'too few requests since',
      failed(0, 5000),
      failed(99, 99),
      /the pool answered 99 requests .* must answer 100/,
    ],
    [
      'too few requests before',
      failed(0, 99),
      failed(500, 1000),
      /the one before it 99, each must answer 100/,
    ],
    [
      'a pool before that failed itself',
      failed(60, 1000),
      failed(900, 1000),
      /failed 60 of 1,000 .*no measure/,
    ],
    [
      'no count',
      { kind: 'unknown', because: 'lb1 was restarted' },
      failed(9, 999),
      /compared: lb1 was restarted\./,
    ],
  ])('is not compared where there is %s', (_, before, since, reason) => {
    const verdict = judgeFlip({ before, since }, 1, options);
    expect(verdict).toMatchObject({ verdict: 'inconclusive', reason: expect.stringMatching(reason) });
  });

  test('that is as good as the one before goes back by chance no more often than was asked for', () => {
    const random = seededRandom(7);
    const errorsOf = (requests: number): number =>
      Array.from({ length: requests }, () => (random.chance(0.02) ? 1 : 0)).reduce<number>(
        (a, b) => a + b,
        0,
      );
    const strict = { ...options, tolerance: 0, falseAlarms: 0.05 };
    let alarms = 0;
    for (let life = 0; life < 400; life++) {
      const before = failed(errorsOf(1000), 1000);
      let errors = 0;
      for (let look = 1; look <= 12; look++) {
        errors += errorsOf(100);
        if (judgeFlip({ before, since: failed(errors, look * 100) }, look, strict).verdict !== 'fail')
          continue;
        alarms++;
        break;
      }
    }
    expect(alarms).toBeLessThanOrEqual(0.05 * 400);
    expect(alarms).toBeGreaterThan(0);
  });
});
