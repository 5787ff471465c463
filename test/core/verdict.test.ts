import { describe, expect, test } from 'vitest';
import type { Answers, Compared } from '../../src/core/counts.ts';
import { parseFields } from '../../src/core/field.ts';
import { judge, type Verdict, type VerdictOptions, verdictOptions } from '../../src/core/verdict.ts';
import { defaultVerdictOptions, outcomes } from './verdict-power.ts';

const said = (
  canary: Partial<Answers>,
  others: Partial<Answers>,
  options: Partial<VerdictOptions> = {},
): Verdict => {
  const none = { requests: 0, errors: 0, refused: 0, responseMs: null };
  const compared: Compared = {
    kind: 'counts',
    canary: { ...none, ...canary },
    others: { ...none, ...others },
  };
  return judge(compared, { ...defaultVerdictOptions, ...options });
};

describe('judge', () => {
  test('passes a canary that is as good as the others, and says what would have been too bad', () => {
    expect(said({ requests: 1000, errors: 1 }, { requests: 9000, errors: 9 })).toEqual({
      verdict: 'pass',
      reason:
        'The canary failed 1 of 1,000 requests (0.1 %), the other nodes 9 of 9,000 requests (0.1 %); 6 would have been too many.',
    });
  });

  test('fails a canary with one error more than a pass allowed, and not before', () => {
    const at = (errors: number) => said({ requests: 1000, errors }, { requests: 9000, errors: 9 });
    expect(at(5).verdict).toBe('pass');
    expect(at(5).reason).toContain('6 would have been too many');
    expect(at(6)).toEqual({
      verdict: 'fail',
      reason:
        'The canary failed 6 of 1,000 requests (0.6 %), the other nodes 9 of 9,000 requests (0.1 %): chance alone does that once in 160 times.',
    });
  });

  test('fails a canary that refuses what the others do not, at a threshold of its own', () => {
    const at = (refused: number, options = {}) =>
      said({ requests: 10_000, refused }, { requests: 90_000, refused: 1800 }, options);
    expect(at(300).verdict).toBe('pass');
    expect(at(300, { falseAlarmsRefused: 0.01 }).verdict).toBe('fail');
    expect(at(900)).toEqual({
      verdict: 'fail',
      reason:
        'The canary refused 900 of 10,000 requests (9 %) with 4xx, the other nodes 1,800 of 90,000 requests (2 %): chance does not do that.',
    });
  });

  test('never compares with nodes that fail themselves, however bad the canary is', () => {
    expect(said({ requests: 1000, errors: 1000 }, { requests: 1000, errors: 51 })).toEqual({
      verdict: 'inconclusive',
      reason:
        'The other nodes fail themselves: 51 of 1,000 requests (5.1 %), and more than 5 % is no measure for a canary.',
    });
    expect(said({ requests: 1000, errors: 1000 }, { requests: 1000, errors: 50 }).verdict).toBe('fail');
  });

  test.each([
    ['the canary', 999, 9000],
    ['the others', 1000, 999],
    ['both', 0, 0],
    ['the others, of which there are none', 5000, 0],
  ])('does not pass on too few requests of %s', (_, canary, others) => {
    expect(said({ requests: canary }, { requests: others })).toEqual({
      verdict: 'inconclusive',
      reason: `Too few requests: the canary answered ${canary.toLocaleString('en')} and the other nodes ${others.toLocaleString('en')}, each must answer 1,000.`,
    });
    expect(said({ requests: 1000 }, { requests: 1000 }).verdict).toBe('pass');
  });

  test('a few requests are enough to fail', () => {
    expect(said({ requests: 20, errors: 20 }, { requests: 180 }).verdict).toBe('fail');
  });

  test('a difference within the tolerance does not fail, however sure it is', () => {
    const [canary, others] = [
      { requests: 10_000_000, errors: 12_000 },
      { requests: 90_000_000, errors: 90_000 },
    ];
    expect(said(canary, others).verdict).toBe('pass');
    expect(said(canary, others, { tolerance: 0 })).toMatchObject({
      verdict: 'fail',
      reason: expect.stringContaining('12,000 of 10,000,000 requests (0.12 %)'),
    });
  });

  test('an average time above the limit fails, and one that is not known does not pass', () => {
    const at = (responseMs: number | null, responseMax: number | null) =>
      said({ requests: 5000, responseMs }, { requests: 5000 }, { responseMax });
    expect(at(400, null).verdict).toBe('pass');
    expect(at(400, 400).verdict).toBe('pass');
    expect(at(401.4, 400)).toEqual({
      verdict: 'fail',
      reason: 'The canary took 401 ms for an answer on average, and 400 ms are allowed.',
    });
    expect(at(null, 400)).toEqual({
      verdict: 'inconclusive',
      reason:
        "The canary's response time is not known: its average still holds requests of before, after 5,000 new ones.",
    });
  });

  test('what cannot be told is inconclusive', () => {
    const because = 'lb1 was restarted or reloaded in between';
    expect(judge({ kind: 'unknown', because }, defaultVerdictOptions)).toEqual({
      verdict: 'inconclusive',
      reason: `It cannot be told: ${because}.`,
    });
  });

  test('does not pass where no canary could have failed', () => {
    const options = { requestsMin: 1, falseAlarms: 0.001 };
    expect(said({ requests: 2 }, { requests: 10 }, options)).toEqual({
      verdict: 'inconclusive',
      reason:
        'The canary failed 0 of 2 requests (0 %), the other nodes 0 of 10 requests (0 %): so few that a canary that fails each of them could not be told from chance.',
    });
    expect(said({ requests: 6 }, { requests: 60 }, options).verdict).toBe('pass');
  });
});

describe('the part of good canaries that fails', () => {
  test.each([
    { rate: 0.001, requests: 1000 },
    { rate: 0.01, requests: 1000 },
    { rate: 0.01, requests: 10_000 },
    { rate: 0.05, requests: 10_000 },
  ])('is no more than was asked for: $rate of $requests', ({ rate, requests }) => {
    const runs = 4000;
    const { fail } = outcomes({ canaryRate: rate, othersRate: rate, requests }, runs);
    expect(fail / runs).toBeLessThan(0.01);
  });

  test('is no more than was asked for even if the canary is as bad as the tolerance allows', () => {
    const runs = 4000;
    const { fail } = outcomes({ canaryRate: 0.0125, othersRate: 0.01, requests: 10_000 }, runs);
    expect(fail / runs).toBeGreaterThan(0.003);
    expect(fail / runs).toBeLessThan(0.013);
  });
});

describe('verdictOptions', () => {
  test('parts are written in percent, and have a bound', () => {
    expect(
      parseFields(verdictOptions, { falseAlarms: '0.5%', tolerance: '200%', responseMax: '1s' }),
    ).toEqual({
      ok: true,
      value: { ...defaultVerdictOptions, falseAlarms: 0.005, tolerance: 2, responseMax: 1000 },
    });
    expect(
      parseFields(verdictOptions, { falseAlarms: '51%', othersErrorsMax: 0.05, requestsMin: 0 }),
    ).toEqual({
      ok: false,
      problems: [
        'requestsMin: expected a whole number from 1 to 1000000000, got 0',
        `falseAlarms: expected a part such as '1%', at most '50%', got "51%"`,
        `othersErrorsMax: expected a part such as '1%', at most '100%', got 0.05`,
      ],
    });
  });
});
