import { describe, expect, test } from 'vitest';
import { worseChance } from '../../src/core/worse.ts';

const share = (bad: number, all: number) => ({ bad, all });

describe('worseChance', () => {
  test('is what whole numbers of any length say, for all small tables', () => {
    for (let ours = 0; ours <= 12; ours++) {
      for (let theirs = 0; theirs <= 9; theirs++) {
        for (let a = 0; a <= ours; a++) {
          for (let b = 0; b <= theirs; b++) {
            for (const oddsRatio of [1, 3]) {
              const chance = worseChance(share(a, ours), share(b, theirs), oddsRatio);
              expect(chance).toBeCloseTo(exactly(share(a, ours), share(b, theirs), oddsRatio), 12);
            }
          }
        }
      }
    }
  });

  test.each([
    [share(12, 500), share(31, 4500), 1],
    [share(3, 1000), share(2, 9000), 1],
    [share(30, 3000), share(60, 9000), 1],
    [share(30, 3000), share(60, 9000), 2],
  ])('is what whole numbers of any length say: %o %o, odds %d', (ours, theirs, oddsRatio) => {
    const wanted = exactly(ours, theirs, oddsRatio);
    expect(Math.abs(worseChance(ours, theirs, oddsRatio) / wanted - 1)).toBeLessThan(1e-10);
  });

  test('is right for a hundred million requests: it is that of a normal distribution there', () => {
    const all = 50_000_000;
    const bad = 50_000;
    // Of 100,000 that went badly, half are ours; a standard deviation is sqrt(100,000 / 4 * 0.999).
    const deviation = Math.sqrt(25_000 * 0.999);
    for (const [sds, wanted] of [
      [0, 0.5],
      [1, 0.158655],
      [2, 0.02275],
      [3, 0.00135],
    ] as const) {
      const excess = Math.round(sds * deviation);
      const chance = worseChance(share(bad + excess, all), share(bad - excess, all));
      expect(chance / wanted).toBeGreaterThan(0.98);
      expect(chance / wanted).toBeLessThan(1.02);
    }
  });

  test('the chances of being as bad and of being less bad add up, for a hundred million requests', () => {
    const [ours, theirs] = [share(30_214, 30_000_000), share(69_000, 70_000_000)];
    const better = worseChance(share(theirs.bad + 1, theirs.all), share(ours.bad - 1, ours.all));
    expect(worseChance(ours, theirs) + better).toBeCloseTo(1, 10);
  });

  test('falls with every further bad answer, and rises with the odds that are allowed', () => {
    const chances = Array.from({ length: 60 }, (_, bad) => worseChance(share(bad, 1000), share(90, 9000)));
    for (const [i, chance] of chances.entries()) expect(chance).toBeLessThanOrEqual(chances[i - 1] ?? 1);
    expect(worseChance(share(20, 1000), share(90, 9000), 1.25)).toBeGreaterThan(chances[20]!);
  });

  test.each([
    ['nothing went badly', share(0, 1000), share(0, 9000), 1],
    ['all went badly', share(1000, 1000), share(9000, 9000), 1],
    ['there is nothing to compare with', share(7, 1000), share(0, 0), 1],
    ['we have nothing to show', share(0, 0), share(7, 1000), 1],
    ['only ours went badly, all of them', share(1000, 1000), share(0, 9000), 0],
  ])('%s', (_, ours, theirs, chance) => {
    expect(worseChance(ours, theirs)).toBe(chance);
  });

  test('one bad answer, of a tenth of the requests, is ours by chance in a tenth of the cases', () => {
    expect(worseChance(share(1, 1000), share(0, 9000))).toBeCloseTo(0.1, 14);
  });
});

type Share = ReturnType<typeof share>;

/** In fractions of whole numbers, rounded once. */
function exactly(ours: Share, theirs: Share, oddsRatio: number): number {
  const bad = ours.bad + theirs.bad;
  let [all, atLeast] = [0n, 0n];
  for (let k = Math.max(0, bad - theirs.all); k <= Math.min(ours.all, bad); k++) {
    const term = choose(ours.all, k) * choose(theirs.all, bad - k) * BigInt(oddsRatio) ** BigInt(k);
    all += term;
    if (k >= ours.bad) atLeast += term;
  }
  return Number((atLeast * 10n ** 30n) / all) / 1e30;
}

const known = new Map<string, bigint>();

function choose(n: number, k: number): bigint {
  const key = `${n} ${k}`;
  let result = known.get(key);
  if (result === undefined) {
    result = 1n;
    for (let i = 1; i <= Math.min(k, n - k); i++) result = (result * BigInt(n - i + 1)) / BigInt(i);
    known.set(key, result);
  }
  return result;
}
