import { cronHolders } from './cron.ts';
import { failure, list } from './errors.ts';
import {
  bearingNodes,
  hasComplete,
  isHeldOut,
  isLowered,
  isReady,
  isServing,
  liveRelease,
  mayReceive,
  nodeState,
  type Observation,
  poolNodes,
  servingNodes,
} from './observation.ts';
import { predict } from './predict.ts';
import type { Step } from './step.ts';

export interface ProofInput {
  readonly strategy: string;
  readonly observed: Observation;
  readonly servingMin: number;
  readonly steps: readonly Step[];
  /** Whether pages of a release need its files on every node. */
  readonly hasAssets?: boolean;
  /** Whether the schema is still to be expanded for the release. */
  readonly expands?: boolean;
  /** It leads to where the site was, which may have been a pool of several releases. */
  readonly goesBack?: boolean;
}

/**
 * Walks a plan on paper and refuses it, with every promise that it would break (`PLAN_UNSAFE`). A strategy is
 * trusted to be useful, never to be safe: this is what makes a user's own strategy harmless.
 */
export function prove(input: ProofInput): void {
  const problems = brokenPromises(input);
  if (problems.length > 0) throw failure('PLAN_UNSAFE', { strategy: input.strategy, problems });
}

/** A sentence for each promise that some step breaks, each beginning with the step. */
export function brokenPromises({
  observed,
  servingMin,
  steps,
  hasAssets = false,
  expands = false,
  goesBack = false,
}: ProofInput): readonly string[] {
  const strangers = unknownNodes(observed, steps);
  if (strangers.length > 0) return strangers;
  const problems: string[] = [];
  let before = observed;
  steps.forEach((step, index) => {
    const after = predict(before, step);
    const earlier = steps.slice(0, index);
    const context: Context = {
      first: observed,
      before,
      after,
      servingMin,
      earlier,
      hasAssets,
      expands,
      goesBack,
    };
    for (const promise of promises) {
      for (const text of promise(step, context))
        problems.push(`step ${index + 1} (${step.kind} ${list(step.nodes)}): ${text}`);
    }
    before = after;
  });
  return [
    ...new Set([
      ...problems,
      ...leftOut(observed, before),
      ...leftLowered(before, steps),
      ...leftShared(steps),
    ]),
  ];
}

/** What the plan takes out of rotation it also puts back; a pool that gets no traffic any more is still in it. */
const leftOut = (first: Observation, last: Observation): readonly string[] =>
  servingNodes(first)
    .filter((node) => !isServing(last, node) && !isReady(last, node))
    .map((node) => `the end: ${node} serves now and would be left out of rotation`);

/** Weights that the plan changes are whole in the end. */
const leftLowered = (last: Observation, steps: readonly Step[]): readonly string[] =>
  [...new Set(steps.flatMap((step) => (step.kind === 'shift' ? step.nodes : [])))]
    .filter((node) => isLowered(last, node))
    .map((node) => `the end: ${node} would be left with a part of its weight`);

/** A part of the traffic is a way to all of it. */
const leftShared = (steps: readonly Step[]): readonly string[] => {
  const last = steps.findLast((step) => step.kind === 'flip');
  return last?.share === undefined
    ? []
    : [`the end: pool ${last.to} would be left with a part of the traffic`];
};

/** Nothing else can be said of a step that names a node of nowhere. */
const unknownNodes = (observed: Observation, steps: readonly Step[]): readonly string[] =>
  steps.flatMap((step, index) =>
    step.nodes
      .filter((node) => !observed.nodes[node])
      .map((node) => `step ${index + 1} (${step.kind} ${list(step.nodes)}): there is no node ${node}`),
  );

interface Context {
  /** What the plan starts from. */
  readonly first: Observation;
  /** Just before and just after the step. */
  readonly before: Observation;
  readonly after: Observation;
  readonly servingMin: number;
  readonly earlier: readonly Step[];
  readonly hasAssets: boolean;
  readonly expands: boolean;
  readonly goesBack: boolean;
}

type Promise = (step: Step, context: Context) => readonly string[];

const floor: Promise = (_step, { before, after, servingMin }) => {
  if (after === before) return [];
  const [had, left] = [bearingNodes(before).length, bearingNodes(after).length];
  return left < had && left < servingMin
    ? [`it would leave ${left} nodes serving, and servingMin is ${servingMin}`]
    : [];
};

const noSpilledRequest: Promise = (step, { before }) =>
  step.kind !== 'activate' || before.balancers.length === 0
    ? []
    : step.nodes
        .filter((node) => mayReceive(before, node))
        .map((node) => `${node} would change while a balancer may still send it requests`);

const wholeBeforeLive: Promise = (step, { before }) =>
  step.kind !== 'activate'
    ? []
    : step.nodes
        .filter((node) => !hasComplete(nodeState(before, node), step.release.id))
        .map((node) => `${node} does not have release ${step.release.id}, whole`);

const proofBeforeTraffic: Promise = (step, { before }) =>
  step.kind !== 'enable'
    ? []
    : step.nodes
        .filter((node) => nodeState(before, node).proved !== liveRelease(nodeState(before, node)))
        .map((node) => `${node} would take traffic before it answered its checks after its last change`);

/** One batch at a time carries a release that has not been proved. */
const blastRadius: Promise = (step, { first, before }) => {
  if (step.kind !== 'activate') return [];
  return Object.values(before.nodes)
    .filter(
      ({ name, proved, current }) =>
        !step.nodes.includes(name) &&
        proved === null &&
        current.kind === 'release' &&
        current.id === step.release.id &&
        liveRelease(nodeState(first, name)) !== step.release.id,
    )
    .map(({ name }) => `${name} has the new release and has not answered its checks yet`);
};

/** Every node keeps the release that was live when the plan began. */
const wayBack: Promise = (step, { first, before, after }) =>
  step.nodes.flatMap((node) => {
    const live = liveRelease(nodeState(first, node));
    if (live === null || !hasComplete(nodeState(before, node), live)) return [];
    return hasComplete(nodeState(after, node), live) ? [] : [`${node} would lose ${live}, the way back`];
  });

const liveStays: Promise = (step, { after }) =>
  step.kind !== 'cleanup'
    ? []
    : step.nodes
        .filter((node) => step.remove[node]?.some((id) => id === liveRelease(nodeState(after, node))))
        .map((node) => `${node} would lose its live release`);

const oursOnly: Promise = (step, { first }) =>
  step.kind !== 'enable'
    ? []
    : step.nodes
        .filter((node) => isHeldOut(first, node))
        .map((node) => `${node} was taken out by an operator`);

const once: Promise = (step, { earlier }) =>
  step.kind === 'hook' && step.once && earlier.some((one) => one.kind === 'hook' && one.hook === step.hook)
    ? [`hook ${step.hook} would run twice, and it is marked once`]
    : [];

/** A hold may last for days: nothing that the plan took out is out of rotation meanwhile. */
const holdsWhole: Promise = (step, { first, before }) =>
  step.kind !== 'hold'
    ? []
    : Object.values(before.nodes)
        .filter(({ name, drained }) => drained.length > nodeState(first, name).drained.length)
        .map(({ name }) => `it would wait with ${name} out of rotation`);

const sharesInBounds: Promise = (step) =>
  step.kind !== 'flip' ||
  step.share === undefined ||
  (Number.isInteger(step.share) && step.share >= 1 && step.share <= 99)
    ? []
    : [`a part of the traffic is a whole percentage from 1 to 99, and it is ${step.share}`];

/** A weight of 0 would take a node out of rotation without a word to it. */
const weightsInBounds: Promise = (step) =>
  step.kind !== 'shift' || (Number.isInteger(step.to) && step.to >= 1 && step.to <= 100)
    ? []
    : [`a weight is a whole percentage from 1 to 100, and it is ${step.to}`];

/** What is judged has the release, and what it is compared with has not. */
const fairlyJudged: Promise = (step, { before }) => {
  if (step.kind !== 'hold' || step.judged === null) return [];
  const { release, others } = step.judged;
  const has = (node: string): boolean => {
    const state = before.nodes[node];
    return state !== undefined && liveRelease(state) === release;
  };
  return [
    ...step.nodes
      .filter((node) => !has(node))
      .map((node) => `${node} would be judged, and has no ${release}`),
    ...others.filter(has).map((node) => `${node} would be the measure of ${release}, which it has itself`),
  ];
};

/** One that has the cron already may keep it; nobody gets it beside another, or beside one that nobody knows of. */
const oneCron: Promise = (step, { before, after }) => {
  if (step.kind !== 'cron' || step.to === null || nodeState(before, step.to).cron.block === 'as set')
    return [];
  const others = cronHolders(after).filter((node) => node !== step.to);
  const unread = Object.values(after.nodes)
    .filter(({ name, unreachable }) => unreachable !== null && !step.off.includes(name))
    .map(({ name }) => name);
  return [
    ...others.map((node) => `${step.to} would run the cron of the site beside ${node}`),
    ...(cronHolders(before).length > 0 ? [] : unread).map(
      (node) => `${step.to} would run the cron of the site, and nobody knows whether ${node} does`,
    ),
  ];
};

/** A page of the new release may ask any node for its files. */
const assetsFirst: Promise = (step, { earlier, hasAssets }) =>
  hasAssets &&
  step.kind === 'prepare' &&
  earlier.some((one) => one.kind === 'activate' && one.release.id === step.release.id)
    ? [`it would bring the assets of release ${step.release.id} after a node serves its pages`]
    : [];

const wholeBeforeFetched: Promise = (step, { before }) =>
  step.kind === 'fetch' && !hasComplete(nodeState(before, step.from), step.release.id)
    ? [`${step.from} does not have release ${step.release.id}, whole`]
    : [];

/** The new release needs what the migration adds. */
const expandFirst: Promise = (step, { earlier, expands }) =>
  expands && step.kind === 'activate' && !earlier.some((one) => one.kind === 'hook' && one.duty === 'expand')
    ? [
        `it would bring release ${step.release.id} live before the schema is expanded, which needs a node of its role`,
      ]
    : [];

/** The release before needs what the end of the migration takes away. */
const contractLast: Promise = (step, { before }) =>
  step.kind !== 'hook' || step.duty !== 'contract'
    ? []
    : Object.values(before.nodes)
        .filter((node) => (liveRelease(node) ?? '') < step.release.id)
        .map(({ name }) => `the schema would be contracted while ${name} has an older release`);

/** The pool that goes live is named whole, is not empty, and each of its nodes is proved as one and the same release. */
const wholePool: Promise = (step, { before, after, goesBack }) => {
  if (step.kind !== 'flip') return [];
  const nodes = poolNodes(before, step.to).filter((node) => !isHeldOut(before, node));
  const unnamed = nodes.filter((node) => !step.nodes.includes(node));
  const strange = step.nodes.filter((node) => nodeState(before, node).pool !== step.to);
  const live = [...new Set(nodes.map((node) => liveRelease(nodeState(before, node)) ?? 'nothing'))];
  return [
    ...unnamed.map((node) => `${node} of pool ${step.to} would go live unnamed`),
    ...strange.map((node) => `${node} is not of pool ${step.to}`),
    ...(servingNodes(after).length === 0 ? [`pool ${step.to} has no node that could serve`] : []),
    ...(live.length > 1 && !goesBack ? [`pool ${step.to} would serve ${list(live)} at the same time`] : []),
    ...nodes
      .filter((node) => nodeState(before, node).proved !== liveRelease(nodeState(before, node)))
      .map((node) => `${node} would take traffic before it answered its checks after its last change`),
  ];
};

const promises: readonly Promise[] = [
  floor,
  noSpilledRequest,
  wholeBeforeLive,
  wholeBeforeFetched,
  proofBeforeTraffic,
  blastRadius,
  wayBack,
  liveStays,
  oursOnly,
  once,
  holdsWhole,
  weightsInBounds,
  sharesInBounds,
  fairlyJudged,
  assetsFirst,
  oneCron,
  expandFirst,
  contractLast,
  wholePool,
];
