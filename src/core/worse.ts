import { assert } from './assert.ts';

/** How many of all went badly. */
export interface Share {
  readonly bad: number;
  readonly all: number;
}

/**
 * How likely chance alone makes `ours` as bad as it is, or worse, if the odds of going badly are in truth no more than
 * `oddsRatio` times those of `theirs`. With a ratio of 1 this is Fisher's exact test, one-sided; else the same test with
 * Fisher's noncentral hypergeometric distribution. Given how many went badly on both sides together, the chance that
 * k of them are ours is in proportion to C(ours.all, k) C(theirs.all, bad - k) oddsRatio^k.
 *
 * Exact to about 1e-10 of itself for counts up to 1e8, and the same on every machine: neighbouring terms are got from one
 * another, by multiplication and division alone, so no factorial, logarithm or table is needed. Chances below 1e-18 may
 * come out as 0.
 */
export function worseChance(ours: Share, theirs: Share, oddsRatio = 1): number {
  const bad = ours.bad + theirs.bad;
  assert(ours.bad <= ours.all && theirs.bad <= theirs.all, 'no more went badly than there were');
  const least = Math.max(0, bad - theirs.all);
  const most = Math.min(ours.all, bad);
  /** The term of k + 1 over that of k; it falls as k grows. */
  const step = (k: number): number =>
    (((ours.all - k) / (k + 1)) * (bad - k) * oddsRatio) / (theirs.all - bad + k + 1);
  const peak = firstWhere(least, most, (k) => step(k) < 1);
  // The two sums are apart, so that neither loses what the other has in excess.
  let [below, atLeast] = ours.bad <= peak ? [0, 1] : [1, 0];
  for (let k = peak, term = 1; k < most && term > negligible; k++) {
    term *= step(k);
    if (k + 1 < ours.bad) below += term;
    else atLeast += term;
  }
  for (let k = peak, term = 1; k > least && term > negligible; k--) {
    term /= step(k - 1);
    if (k - 1 < ours.bad) below += term;
    else atLeast += term;
  }
  return atLeast / (below + atLeast);
}

/** Of the largest term. */
const negligible = 1e-25;

/** The first from `low` on of which it holds, for it then holds of all that follow; `high` if of none before. */
function firstWhere(low: number, high: number, holds: (k: number) => boolean): number {
  let [from, to] = [low, high];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}
