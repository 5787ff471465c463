import {
  defaultsTo,
  describe,
  type Field,
  type Fields,
  flag,
  integer,
  listOf,
  objectOf,
  optional,
  period,
  refine,
  withDefault,
} from '../src/core/field.ts';
import type { NodeName } from '../src/core/node.ts';
import {
  isDoneOnce,
  isHeldOut,
  liveRelease,
  nodeState,
  type Observation,
  releaseOn,
} from '../src/core/observation.ts';
import {
  activate,
  check,
  drain,
  enable,
  hold,
  holdMark,
  prepare,
  type Step,
  shift,
} from '../src/core/step.ts';
import {
  type BatchSize,
  batches,
  batchSize,
  batchSizes,
  nodesIn,
  outdated,
  strategyKind,
  weakestFirst,
} from '../src/core/strategy.ts';
import type { Target } from '../src/core/target.ts';
import { type VerdictOptions, verdictOptions } from '../src/core/verdict.ts';

interface CanaryOptions extends VerdictOptions {
  readonly steps: readonly CanaryStep[];
  readonly batch: readonly BatchSize[];
}

interface CanaryStep {
  /** So many nodes in all have the release by then; null: as many as in the step before. */
  readonly nodes: BatchSize | null;
  /** In percent. */
  readonly weight: number;
  /** Milliseconds. */
  readonly bake: number;
  readonly hold: boolean;
}

const stepFields: Fields<CanaryStep> = {
  nodes: describe(
    "How many nodes have the release in this step, those of the steps before among them: a count, or a part of all such as '25%'.",
    optional(batchSize, 'as many as in the step before; 1 in the first'),
  ),
  weight: describe(
    'The weight of each of these nodes at the balancers meanwhile, in percent of the configured one. A node of less than 100 does not count for servingMin.',
    withDefault(integer(1, 100), 100),
  ),
  bake: describe(
    'How long the nodes serve before they are judged, by what balancers count in this time.',
    period,
  ),
  hold: describe(
    'Whether the run then waits for a person, who says sluice promote. It waits as well whenever the verdict is inconclusive.',
    withDefault(flag, false),
  ),
};

/** A step gives the release to more nodes, or to the same: who has it is on trial until the end. */
const trialSteps: Field<readonly CanaryStep[]> = refine(
  listOf(objectOf(stepFields, "an object such as { nodes: 1, bake: '10m' }"), 1),
  "a list of steps such as { nodes: 1, bake: '10m' }, none with fewer nodes than one before it",
  (steps) => {
    const sizes = steps.flatMap(({ nodes }) => nodes ?? []);
    return (['number', 'string'] as const).every((unit) => {
      const counts = sizes.filter((size) => typeof size === unit).map((size) => Number.parseFloat(`${size}`));
      return counts.every((count, i) => i === 0 || count >= counts[i - 1]!);
    });
  },
);

export const canary = strategyKind<CanaryOptions>({
  summary:
    'Lets a few nodes serve the release, compares what they answer with the other nodes over the same time, and goes on only if nothing speaks against it.',
  options: {
    steps: describe(
      'What the canary goes through before the other nodes follow, in order.',
      defaultsTo(trialSteps, [{ nodes: 1, bake: '10m' }], 'one node for 10m'),
    ),
    batch: describe(
      "Nodes out of rotation at a time: a count, a part such as '30%', or a list of both of which the last repeats.",
      withDefault(batchSizes, [1], '1'),
    ),
    ...verdictOptions,
  },
  create: ({ steps, batch: sizes, ...verdict }) => ({
    name: 'canary',
    summary: `Judge the release on a few nodes ${steps.length === 1 ? 'once' : `${steps.length} times`}, then renew the others ${sizes.join(', then ')} at a time.`,
    *steps({ observed, target }) {
      const changing = outdated(observed, target);
      const order = byTurn(observed, target, changing);
      if (changing.length > 0) yield prepare(changing, target);
      let done = order.length - changing.length;
      for (const { name, count, weight, bake, hold: waits } of trialsOf(steps, observed, target)) {
        const nodes = order.slice(0, Math.max(done, count));
        yield* renew(nodes.slice(done), target, { sizes, weight });
        done = nodes.length;
        yield shift(nodes, weight);
        const others = withoutRelease(observed, target).filter((node) => !nodes.includes(node));
        const judged = { release: target.release.id, others, options: sharedBy(steps.length, verdict) };
        yield hold(nodes, target, { name, forMs: bake, judged });
        if (waits) yield hold(nodes, target, { name: approvalOf(name), forMs: null });
      }
      yield shift(order.slice(0, done), 100);
      yield* renew(order.slice(done), target, { sizes, weight: 100 });
      yield shift(order, 100);
    },
  }),
});

/**
 * Nodes that have the release lead, then those that can show most by it: what does not serve and should, then the rest.
 * Those that an operator holds out get no traffic that could be judged.
 */
function byTurn(
  observed: Observation,
  { nodes }: Target,
  changing: readonly NodeName[],
): readonly NodeName[] {
  const turn = weakestFirst(observed, changing);
  const isOut = (node: NodeName): boolean => isHeldOut(observed, node);
  return [
    ...nodes.filter((node) => !changing.includes(node)),
    ...turn.filter((node) => !isOut(node)),
    ...turn.filter(isOut),
  ];
}

interface Trial extends CanaryStep {
  readonly name: string;
  /** Of nodes. */
  readonly count: number;
}

/**
 * The steps that are not behind yet: a run that goes on begins with the one that was cut off, anew. None where nothing is
 * to be found out: on the way back to a release that was good, or where every node has it.
 */
function trialsOf(steps: readonly CanaryStep[], observed: Observation, target: Target): readonly Trial[] {
  const { release, nodes, onceAs } = target;
  const isNew = onceAs !== undefined || withoutRelease(observed, target).length > 0;
  if (!isNew || isKnown(observed, target)) return [];
  const isOver = (name: string): boolean => isDoneOnce(observed, onceAs ?? release.id, holdMark(name));
  let size: BatchSize = 1;
  return steps
    .map((step, index): Trial => {
      size = step.nodes ?? size;
      return { ...step, name: `canary ${index + 1}`, count: nodesIn(size, nodes.length) };
    })
    .filter(({ name, hold: waits }) => !isOver(waits ? approvalOf(name) : name));
}

const withoutRelease = (observed: Observation, { release }: Target): readonly NodeName[] =>
  Object.values(observed.nodes)
    .filter((state) => liveRelease(state) !== release.id)
    .map(({ name }) => name);

/** It was found good on every node that is to have it, and a newer one came after it. */
const isKnown = (observed: Observation, { release, nodes }: Target): boolean => {
  const states = nodes.map((name) => nodeState(observed, name));
  return (
    states.every((state) => releaseOn(state, release.id)?.checked) &&
    states.some(({ releases }) => releases.some(({ id }) => id > release.id))
  );
};

const approvalOf = (name: string): string => `${name} approval`;

/** Of several looks each gets its part of the false alarms. */
const sharedBy = (looks: number, options: VerdictOptions): VerdictOptions => ({
  ...options,
  falseAlarms: options.falseAlarms / looks,
  falseAlarmsRefused: options.falseAlarmsRefused / looks,
});

interface Renewal {
  readonly sizes: readonly BatchSize[];
  readonly weight: number;
}

/** Weights are set while a node is out of rotation: if they cannot be, it has not changed yet. */
function* renew(nodes: readonly NodeName[], target: Target, { sizes, weight }: Renewal): Iterable<Step> {
  for (const batch of batches(nodes, sizes)) {
    yield drain(batch);
    yield shift(batch, weight);
    yield activate(batch, target);
    yield check(batch, target);
    yield enable(batch);
  }
}
