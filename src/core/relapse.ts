import type { Answered, Answers } from './counts.ts';
import { defaultsTo, describe, type Fields, integer } from './field.ts';
import { byChance, fail, inconclusive, part, partOfAll, percent, type Verdict, whole } from './verdict.ts';
import { worseChance } from './worse.ts';

export interface RelapseOptions {
  readonly requestsMin: number;
  readonly tolerance: number;
  readonly falseAlarms: number;
  readonly errorsMaxBefore: number;
}

/** What was answered before a flip, and since. */
export interface AroundFlip {
  readonly before: Answered;
  readonly since: Answered;
}

/**
 * Whether a pool answers clearly more errors than the one before it did: `fail` if so, `pass` if not, `inconclusive`
 * where nothing can be compared. To be asked again and again: look n has a share of 1 / (n (n + 1)) of the false alarms,
 * and all such shares make up one. So what goes badly at once is seen at once, and the length of the bake does not matter.
 */
export function judgeFlip({ before, since }: AroundFlip, look: number, options: RelapseOptions): Verdict {
  const unknown = [before, since].find((one) => one.kind === 'unknown');
  if (unknown) return inconclusive(`Errors were not compared: ${unknown.because}.`);
  const [old, now] = [before, since].map((one) => (one as Extract<Answered, { kind: 'counts' }>).answers);
  return judgeAnswers({ old: old!, now: now! }, look, options);
}

function judgeAnswers(
  { old, now }: { readonly old: Answers; readonly now: Answers },
  look: number,
  { requestsMin, tolerance, falseAlarms, errorsMaxBefore }: RelapseOptions,
): Verdict {
  const figures = `The pool failed ${part(now.errors, now.requests)}, the one before it ${part(old.errors, old.requests)}`;
  if (old.requests < requestsMin || now.requests < requestsMin)
    return inconclusive(
      `Errors were not compared: the pool answered ${whole(now.requests)} requests and the one before it ${whole(old.requests)}, each must answer ${whole(requestsMin)}.`,
    );
  if (old.errors > errorsMaxBefore * old.requests)
    return inconclusive(
      `Errors were not compared: the pool before it failed ${part(old.errors, old.requests)} itself, and more than ${percent(errorsMaxBefore)} is no measure.`,
    );
  const chance = worseChance(
    { bad: now.errors, all: now.requests },
    { bad: old.errors, all: old.requests },
    1 + tolerance,
  );
  return chance <= falseAlarms / (look * (look + 1))
    ? fail(`${figures}: ${byChance(chance)}.`)
    : { verdict: 'pass', reason: `${figures}.` };
}

/** For a strategy that flips: each with its default. */
export const relapseOptions: Fields<RelapseOptions> = {
  requestsMin: describe(
    'The fewest requests that each pool must have answered, before the flip and since, for errors to be compared.',
    defaultsTo(integer(1, 1e9), 100),
  ),
  tolerance: describe(
    'How much higher than before the flip the error rate may be: no two minutes are quite alike.',
    defaultsTo(partOfAll(1000), '100%'),
  ),
  falseAlarms: describe(
    'How many flips to releases that are as good as the one before may go back by chance, in the whole bake.',
    defaultsTo(partOfAll(50), '1%'),
  ),
  errorsMaxBefore: describe(
    'If the pool before failed more of its requests than this, there is nothing to compare with.',
    defaultsTo(partOfAll(100), '5%'),
  ),
};
