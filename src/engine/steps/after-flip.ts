import { answeredBy, type Counted } from '../../core/counts.ts';
import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { isServing } from '../../core/observation.ts';
import { judgeFlip } from '../../core/relapse.ts';
import type { Flipped, Step, StepOf } from '../../core/step.ts';
import type { Verdict } from '../../core/verdict.ts';
import { emit, expected, nodeOf, type Run } from '../run.ts';
import { countAll } from '../settle/counted.ts';
import { firstWrong } from './check.ts';

/** Reads what balancers counted when a run begins that is to judge its flip by it. */
export async function beginCounting(steps: readonly Step[], run: Run): Promise<void> {
  if (measureOf(steps) !== null) run.counted = await countOrNull(run);
}

/** The same just before the flip: what the pool answered meanwhile is the measure. */
export async function endCounting(run: Run): Promise<void> {
  const nodes = Object.keys(run.observed.nodes).filter((node) => isServing(run.observed, node));
  const now = run.counted && (await countOrNull(run));
  run.answeredBefore = run.counted && now && answeredBy(run.counted, now, nodes);
}

const measureOf = (steps: readonly Step[]): Flipped | null =>
  steps.flatMap((step) => (step.kind === 'hold' ? (step.flipped ?? []) : []))[0] ?? null;

/** What cannot be counted is not compared: it must not keep a site from being released. */
async function countOrNull(run: Run): Promise<Counted | null> {
  try {
    return await countAll(run);
  } catch (error) {
    // An interruption is met by the next step.
    expected(run.signal, error);
    return null;
  }
}

export interface Watch {
  /** Throws `BAKE_WORSE`, or `BAKE_UNPROVED` if a node failed its checks twice. */
  look(): Promise<void>;
  /** What was seen in all, a sentence with its figures. */
  end(): string;
}

/** Looks at a pool that all traffic was flipped to, beside whether it serves: at its errors, and at its checks. */
export async function watchFlipped(
  { name, nodes }: StepOf<'hold'>,
  flipped: Flipped,
  run: Run,
): Promise<Watch> {
  const errors = await watchErrors(nodes, flipped, run);
  const checks = watchChecks(nodes, flipped, run);
  return {
    async look() {
      const { verdict, reason } = await errors.look();
      if (verdict === 'fail') throw failure('BAKE_WORSE', { name, reason });
      const wrong = await checks.look();
      if (wrong) throw failure('BAKE_UNPROVED', { name, ...wrong });
    },
    end: errors.end,
  };
}

/** A balancer that is restarted in between is counted anew from then on. */
async function watchErrors(nodes: readonly NodeName[], { options }: Flipped, run: Run) {
  const before = run.answeredBefore ?? { kind: 'unknown', because: 'nobody counted before the flip' };
  let first = await countOrNull(run);
  let looks = 0;
  let last: Verdict = {
    verdict: 'inconclusive',
    reason: 'Errors were not compared: the time was too short.',
  };
  return {
    async look(): Promise<Verdict> {
      const now = await countOrNull(run);
      const since =
        first && now
          ? answeredBy(first, now, nodes)
          : ({ kind: 'unknown', because: 'balancers could not be read' } as const);
      if (since.kind === 'unknown') {
        first = now;
        return last;
      }
      last = judgeFlip({ before, since }, looks + 1, options);
      if (last.verdict !== 'inconclusive') looks++;
      return last;
    },
    end: () => last.reason,
  };
}

function watchChecks(nodes: readonly NodeName[], { release, checkEveryMs }: Flipped, run: Run) {
  const { clock } = run.ports;
  let askedAtMs = clock.nowMs();
  let wrongBefore = new Set<NodeName>();
  return {
    async look(): Promise<{ readonly node: NodeName; readonly answer: string } | null> {
      if (clock.nowMs() - askedAtMs < checkEveryMs) return null;
      askedAtMs = clock.nowMs();
      const answers = await Promise.all(
        nodes.map(async (node) => ({
          node,
          answer: await firstWrong(run, nodeOf(run.site, node), release, checkEveryMs),
        })),
      );
      const wrong = answers.flatMap(({ node, answer }) => (answer === null ? [] : { node, answer }));
      const again = wrong.find(({ node }) => wrongBefore.has(node)) ?? null;
      wrongBefore = new Set(wrong.map(({ node }) => node));
      return again;
    },
  };
}

/** Says what a flip that held was judged by. */
export const noteEnd = (name: string, watch: Watch, run: Run): void =>
  emit(run.ports, { type: 'note', level: 'info', text: `Hold ${name} is passed. ${watch.end()}` });
