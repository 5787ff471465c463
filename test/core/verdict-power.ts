import type { Answers } from '../../src/core/counts.ts';
import { parseFields } from '../../src/core/field.ts';
import { judge, type Verdict, type VerdictOptions, verdictOptions } from '../../src/core/verdict.ts';
import { type SeededRandom, seededRandom } from '../../src/simulator/random.ts';

/** What the defaults say of canaries of known quality: the same figures on every machine. */
export const defaultVerdictOptions = ((): VerdictOptions => {
  const options = parseFields(verdictOptions, {});
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return options.value;
})();

export interface Trial {
  /** The parts of requests that fail, in truth. */
  readonly canaryRate: number;
  readonly othersRate: number;
  /** Of the canary; the other nodes answer nine times as many. */
  readonly requests: number;
}

/** How many of `runs` came out as what. */
export function outcomes(
  { canaryRate, othersRate, requests }: Trial,
  runs: number,
): Readonly<Record<Verdict['verdict'], number>> {
  const random = seededRandom(requests).fork(`${canaryRate} ${othersRate}`);
  const [canary, others] = [
    binomial({ count: requests, rate: canaryRate }),
    binomial({ count: 9 * requests, rate: othersRate }),
  ];
  const result = { pass: 0, fail: 0, inconclusive: 0 };
  for (let run = 0; run < runs; run++) {
    const sides = {
      canary: answers(requests, canary(random)),
      others: answers(9 * requests, others(random)),
    };
    result[judge({ kind: 'counts', ...sides }, defaultVerdictOptions).verdict]++;
  }
  return result;
}

const answers = (requests: number, errors: number): Answers => ({
  requests,
  errors,
  refused: 0,
  responseMs: null,
});

/**
 * Draws how many of `count` fail. By inversion, from a table that begins at the likeliest number, of which each term
 * is got from its neighbour: plain arithmetic, so that no machine's logarithm decides a draw.
 */
function binomial({ count, rate }: { count: number; rate: number }): (random: SeededRandom) => number {
  if (rate >= 1) return () => count;
  const odds = rate / (1 - rate);
  const peak = Math.floor((count + 1) * rate);
  const terms = new Map([[peak, 1]]);
  for (let k = peak, term = 1; k < count && term > 1e-16; k++) {
    term *= ((count - k) / (k + 1)) * odds;
    terms.set(k + 1, term);
  }
  for (let k = peak, term = 1; k > 0 && term > 1e-16; k--) {
    term *= k / (count - k + 1) / odds;
    terms.set(k - 1, term);
  }
  const sorted = [...terms].toSorted(([a], [b]) => a - b);
  const upTo: { readonly k: number; readonly sum: number }[] = [];
  for (const [k, term] of sorted) upTo.push({ k, sum: (upTo.at(-1)?.sum ?? 0) + term });
  return (random) => {
    const drawn = random.next() * upTo.at(-1)!.sum;
    let [from, to] = [0, upTo.length - 1];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (upTo[middle]!.sum > drawn) to = middle;
      else from = middle + 1;
    }
    return upTo[from]!.k;
  };
}

const runs = 1000;
const sizes = [100, 1000, 10_000, 100_000];
const qualities = [1, 2, 5, 10, '20 %', '100 %'] as const;

/** The table of the README: of each 100 canaries, how many fail, pass, and stay undecided. */
export function powerTable(): string {
  const rows = [0.001, 0.01].flatMap((othersRate) =>
    qualities.map((quality) => {
      const canaryRate =
        typeof quality === 'number' ? quality * othersRate : Number.parseInt(quality, 10) / 100;
      const cells = sizes.map((requests) => cell(outcomes({ canaryRate, othersRate, requests }, runs)));
      return [percent(othersRate), named(quality, canaryRate), ...cells];
    }),
  );
  const head = [
    'the others fail',
    'the canary fails',
    ...sizes.map((n) => `${n.toLocaleString('en')} requests`),
  ];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const percent = (rate: number): string => `${Number((100 * rate).toPrecision(3))} %`;

const named = (quality: (typeof qualities)[number], rate: number): string => {
  if (typeof quality === 'string') return quality;
  return quality === 1 ? `${percent(rate)}, as the others` : `${percent(rate)}, ${quality} times`;
};

const cell = ({ fail, pass, inconclusive }: ReturnType<typeof outcomes>): string =>
  [fail, pass, inconclusive].map((count) => Number(((100 * count) / runs).toFixed(1))).join(' / ');
