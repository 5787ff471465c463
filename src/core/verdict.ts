import type { Answers, Compared, Sides } from './counts.ts';
import { defaultsTo, describe, type Field, type Fields, integer, optional, period, scalar } from './field.ts';
import { worseChance } from './worse.ts';

export interface VerdictOptions {
  readonly requestsMin: number;
  readonly tolerance: number;
  readonly falseAlarms: number;
  readonly falseAlarmsRefused: number;
  readonly othersErrorsMax: number;
  readonly responseMax: number | null;
}

/** Only `pass` lets a canary go on. */
export interface Verdict {
  readonly verdict: 'pass' | 'fail' | 'inconclusive';
  /** One sentence, with the figures that it rests on. */
  readonly reason: string;
}

/**
 * Judges a canary by what it and the other nodes answered over the same time. To be asked once, at the end of that
 * time: every further look adds its own share of false alarms. Who must look n times divides `falseAlarms` and
 * `falseAlarmsRefused` by n, which keeps the sum.
 */
export function judge(compared: Compared, options: VerdictOptions): Verdict {
  if (compared.kind === 'unknown') return inconclusive(`It cannot be told: ${compared.because}.`);
  for (const rule of rules) {
    const verdict = rule(compared, options);
    if (verdict !== null) return verdict;
  }
  return lastly(compared, options);
}

export const inconclusive = (reason: string): Verdict => ({ verdict: 'inconclusive', reason });
export const fail = (reason: string): Verdict => ({ verdict: 'fail', reason });

type Rule = (sides: Sides<Answers>, options: VerdictOptions) => Verdict | null;

/**
 * The first that has something to say decides. Nothing is compared with nodes that fail themselves. The exact tests
 * come before the number of requests: they need no minimum to fail a canary, but too few say nothing for it.
 */
const rules: readonly Rule[] = [
  function othersFail({ others }, { othersErrorsMax }) {
    if (others.errors <= othersErrorsMax * others.requests) return null;
    return inconclusive(
      `The other nodes fail themselves: ${part(others.errors, others.requests)}, and more than ${percent(othersErrorsMax)} is no measure for a canary.`,
    );
  },
  function moreErrors(sides, options) {
    const chance = errorChance(sides, options);
    return chance > options.falseAlarms ? null : fail(`${bothFailed(sides)}: ${byChance(chance)}.`);
  },
  function moreRefused({ canary, others }, { tolerance, falseAlarmsRefused }) {
    const ours = { bad: canary.refused, all: canary.requests };
    const chance = worseChance(ours, { bad: others.refused, all: others.requests }, 1 + tolerance);
    if (chance > falseAlarmsRefused) return null;
    return fail(
      `The canary refused ${part(canary.refused, canary.requests)} with 4xx, the other nodes ${part(others.refused, others.requests)}: ${byChance(chance)}.`,
    );
  },
  function tooFew({ canary, others }, { requestsMin }) {
    if (canary.requests >= requestsMin && others.requests >= requestsMin) return null;
    return inconclusive(
      `Too few requests: the canary answered ${whole(canary.requests)} and the other nodes ${whole(others.requests)}, each must answer ${whole(requestsMin)}.`,
    );
  },
  function tooSlow({ canary }, { responseMax }) {
    if (responseMax === null) return null;
    if (canary.responseMs === null) {
      return inconclusive(
        `The canary's response time is not known: its average still holds requests of before, after ${whole(canary.requests)} new ones.`,
      );
    }
    if (canary.responseMs <= responseMax) return null;
    return fail(
      `The canary took ${Math.round(canary.responseMs)} ms for an answer on average, and ${responseMax} ms are allowed.`,
    );
  },
];

const errorChance = ({ canary, others }: Sides<Answers>, { tolerance }: VerdictOptions): number =>
  worseChance(
    { bad: canary.errors, all: canary.requests },
    { bad: others.errors, all: others.requests },
    1 + tolerance,
  );

/** Nothing speaks against the canary; but it passes only if something could have. */
function lastly(sides: Sides<Answers>, options: VerdictOptions): Verdict {
  const limit = failsFrom(sides, options);
  return limit === null
    ? inconclusive(
        `${bothFailed(sides)}: so few that a canary that fails each of them could not be told from chance.`,
      )
    : { verdict: 'pass', reason: `${bothFailed(sides)}; ${whole(limit)} would have been too many.` };
}

/** The fewest errors of the canary that would have failed it; null if all of its requests would not have. */
function failsFrom({ canary, others }: Sides<Answers>, options: VerdictOptions): number | null {
  const fails = (errors: number): boolean =>
    errorChance({ canary: { ...canary, errors }, others }, options) <= options.falseAlarms;
  if (!fails(canary.requests)) return null;
  let [low, high] = [canary.errors, canary.requests];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fails(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const bothFailed = ({ canary, others }: Sides<Answers>): string =>
  `The canary failed ${part(canary.errors, canary.requests)}, the other nodes ${part(others.errors, others.requests)}`;

export const part = (count: number, all: number): string =>
  `${whole(count)} of ${whole(all)} requests (${percent(all === 0 ? 0 : count / all)})`;

/** `12,345`: the same on every machine. */
export const whole = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',');

/** Three digits that mean something: `0.102 %`. */
export const percent = (fraction: number): string => `${Number((100 * fraction).toPrecision(3))} %`;

export const byChance = (chance: number): string =>
  chance < 1e-9
    ? 'chance does not do that'
    : `chance alone does that once in ${whole(Number((1 / chance).toPrecision(2)))} times`;

/** A part such as '5%', as a fraction. */
export const partOfAll = (max: number): Field<number> =>
  scalar(
    `a part such as '1%', at most '${max}%'`,
    { type: 'string', pattern: '^\\d+(\\.\\d+)?%$' },
    (value) => {
      const written = typeof value === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1] : undefined;
      return written !== undefined && Number(written) <= max ? Number(written) / 100 : undefined;
    },
  );

/** For a strategy that judges: each with its default. */
export const verdictOptions: Fields<VerdictOptions> = {
  requestsMin: describe(
    'The fewest requests that the canary must have answered to pass, and the other nodes together as well.',
    defaultsTo(integer(1, 1e9), 1000),
  ),
  tolerance: describe(
    'How much higher than that of the other nodes the error rate of the canary may be: no two nodes are quite alike.',
    defaultsTo(partOfAll(1000), '25%'),
  ),
  falseAlarms: describe(
    'How many of the releases that are as good as the one before may fail by chance, for answers of 5xx.',
    defaultsTo(partOfAll(50), '1%'),
  ),
  falseAlarmsRefused: describe(
    'The same for answers of 4xx, which visitors and robots have a part in.',
    defaultsTo(partOfAll(50), '0.01%'),
  ),
  othersErrorsMax: describe(
    'Once the other nodes fail more of their requests than this, there is nothing to compare a canary with.',
    defaultsTo(partOfAll(100), '5%'),
  ),
  responseMax: describe(
    'How long the canary may take for the head of an answer on average, judged once each of its servers answered 3,072 requests.',
    optional(period),
  ),
};
