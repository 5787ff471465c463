import type { HookPhase, HookPoint, HookSpec } from './hook.ts';
import type { Before } from './intent.ts';
import type { NodeName } from './node.ts';
import {
  hasComplete,
  isHeldOut,
  nodeState,
  type Observation,
  serversOf,
  servingNodes,
} from './observation.ts';
import { predict } from './predict.ts';
import { prove } from './proof.ts';
import type { Site } from './site.ts';
import { holdMark, type Step, type StepKind, type StepOf } from './step.ts';
import type { Strategy } from './strategy.ts';
import type { Target } from './target.ts';

/** All that a run will do, in order: made, proved and shown before anything is touched. Plain data. */
export interface Plan {
  readonly purpose: Purpose;
  /** The strategy's sentence. */
  readonly summary: string;
  readonly target: Target;
  readonly steps: readonly PlannedStep[];
  readonly servingMin: number;
  /** Nodes that serve before the first step. */
  readonly servingBefore: number;
  readonly warnings: readonly string[];
}

export interface PlannedStep {
  readonly step: Step;
  /** Nodes that serve once the step is done: the fewest of all is the plan's lowest point. */
  readonly serving: number;
}

/** Why a plan is made: it decides which hooks stand around it, and whether old releases are removed at the end. */
export type Purpose = 'deploy' | 'rollback' | 'flip' | 'recovery';

export interface PlanInput {
  readonly site: Site;
  readonly strategy: Strategy;
  readonly purpose: Purpose;
  readonly observed: Observation;
  readonly target: Target;
  /** What each node had when all this began, if that was an earlier run: the way back of this one. */
  readonly before?: Before | null;
}

/** Asks the strategy, completes its steps, and proves the whole. Throws `PLAN_UNSAFE` with every broken promise. */
export function makePlan(input: PlanInput): Plan {
  const { site, strategy, purpose, observed, target } = input;
  const chosen = settle(observed, [...strategy.steps({ observed, target })]);
  const steps = chosen.length === 0 ? [] : complete(input, chosen);
  const hasAssets = site.assets.length > 0;
  prove({
    strategy: strategy.name,
    observed,
    servingMin: site.servingMin,
    steps,
    hasAssets,
    goesBack: purpose === 'recovery',
  });
  return {
    purpose,
    summary: strategy.summary,
    target,
    steps: withServing(observed, steps),
    servingMin: site.servingMin,
    servingBefore: servingNodes(observed).length,
    warnings: warningsOf(site, observed, { target, steps }),
  };
}

/** The fewest nodes that serve at any moment of the plan. */
export const lowestServing = (plan: Plan): number =>
  Math.min(plan.servingBefore, ...plan.steps.map(({ serving }) => serving));

/** Leaves out what is so already, and what is not ours to do: nodes that an operator took out are not enabled. */
function settle(observed: Observation, steps: readonly Step[]): readonly Step[] {
  const keeps: { readonly [K in StepKind]?: (node: NodeName, step: Step) => boolean } = {
    prepare: (node, step) => 'release' in step && !hasComplete(nodeState(observed, node), step.release.id),
    drain: (node) => serversOf(observed, node).length > 0,
    enable: (node) => serversOf(observed, node).length > 0 && !isHeldOut(observed, node),
    hold: (_node, step) => step.kind === 'hold' && !isOver(observed, step),
  };
  return steps
    .map((step) => ({
      ...step,
      nodes: step.nodes.filter((node) => !observed.nodes[node] || (keeps[step.kind]?.(node, step) ?? true)),
    }))
    .filter((step) => step.nodes.length > 0);
}

const isOver = (observed: Observation, { name, onceAs }: StepOf<'hold'>): boolean =>
  Object.values(observed.nodes).some(({ once }) =>
    once.some(
      ({ release, hook, state }) => release === onceAs && hook === holdMark(name) && state === 'done',
    ),
  );

function complete(input: PlanInput, chosen: readonly Step[]): readonly Step[] {
  const { purpose, target } = input;
  const { release, nodes } = target;
  const prepares = chosen.some(({ kind }) => kind === 'prepare');
  const builds: readonly Step[] = prepares ? [{ kind: 'build', nodes, release }] : [];
  const removes = purpose === 'deploy' ? cleanup(input) : [];
  const hooks = hookPlaces(input);
  // A run that died between preparing and its hooks left them to the one that goes on.
  const missed = purpose === 'deploy' && !prepares ? hooks.around('prepare', nodes, []) : [];
  const steps = [...builds, ...chosen, ...removes].flatMap((step) =>
    step.kind === 'hook' || step.kind === 'hold' ? [step] : hooks.around(step.kind, step.nodes, [step]),
  );
  return purpose === 'recovery' || purpose === 'flip'
    ? steps
    : hooks.around(purpose, nodes, [...missed, ...steps]);
}

/**
 * Of the releases that were good (whole, and they answered their checks) the newest `keepReleases` stay, the new one
 * and the one before it among them. Half-made and failed releases never count, and go.
 */
function cleanup({ site, observed, target, before }: PlanInput): readonly Step[] {
  const remove = Object.fromEntries(
    target.nodes
      .map((name) => {
        const { releases, current } = nodeState(observed, name);
        const back = before?.[name]?.id;
        const kept = new Set([
          target.release.id,
          ...(current.kind === 'release' ? [current.id] : []),
          ...(back ? [back] : []),
        ]);
        const good = releases.filter(({ id, complete, checked }) => complete && checked && !kept.has(id));
        const room = Math.max(0, site.keepReleases - kept.size);
        for (const { id } of good.slice(Math.max(0, good.length - room))) kept.add(id);
        const oldestKept = [...kept].sort()[0]!;
        const goes = releases.filter(({ id, complete, checked, failed }) => {
          const strange = !complete && !failed && !checked;
          return !kept.has(id) && (strange ? id < oldestKept : true);
        });
        return [name, goes.map(({ id }) => id)] as const;
      })
      .filter(([, ids]) => ids.length > 0),
  );
  const nodes = Object.keys(remove);
  return nodes.length === 0 ? [] : [{ kind: 'cleanup', nodes, remove }];
}

interface HookPlaces {
  /** The steps with the hooks of their phase before and after them. */
  around(phase: HookPhase, nodes: readonly NodeName[], inside: readonly Step[]): readonly Step[];
}

/**
 * A hook that runs once stands at the first place of its point in the whole plan, and not at all once it is done for
 * the release, or on the way back. One that was cut off stands where it began, to say so.
 */
function hookPlaces({ site, purpose, observed, target }: PlanInput): HookPlaces {
  const { release, onceAs = release.id } = target;
  const marks = Object.values(observed.nodes).flatMap(({ name, once }) =>
    once.filter((mark) => mark.release === onceAs).map((mark) => ({ ...mark, node: name })),
  );
  const seen = new Set(marks.filter(({ state }) => state === 'done').map(({ hook }) => hook));
  const nodesOf = (hook: HookSpec, nodes: readonly NodeName[]): readonly NodeName[] => {
    if (!runsOnce(hook)) return hookNodes(site, hook, nodes);
    if (seen.has(hook.name) || purpose === 'recovery') return [];
    const begun = marks.find((mark) => mark.hook === hook.name)?.node;
    return begun ? [begun] : hookNodes(site, hook, nodes);
  };
  const at = (point: HookPoint, nodes: readonly NodeName[]): readonly Step[] =>
    site.hooks.flatMap((hook): readonly Step[] => {
      const on = hook.point === point ? nodesOf(hook, nodes) : [];
      if (on.length === 0) return [];
      seen.add(hook.name);
      return [{ kind: 'hook', nodes: on, hook: hook.name, point, once: runsOnce(hook), onceAs, release }];
    });
  return {
    around: (phase, nodes, inside) => [
      ...at(`before:${phase}`, nodes),
      ...inside,
      ...at(`after:${phase}`, nodes),
    ],
  };
}

const runsOnce = ({ action }: HookSpec): boolean => action.kind === 'nodes' && action.once;

/** The nodes that a hook runs on; for one that runs on the operator's machine, those that it is told of. */
export function hookNodes(site: Site, { action }: HookSpec, nodes: readonly NodeName[]): readonly NodeName[] {
  if (action.kind !== 'nodes') return nodes;
  const fitting = nodes.filter((name) => {
    const node = site.nodes.find((candidate) => candidate.name === name);
    return action.role === null || node?.roles.includes(action.role);
  });
  return action.once ? fitting.slice(0, 1) : fitting;
}

function withServing(observed: Observation, steps: readonly Step[]): readonly PlannedStep[] {
  let state = observed;
  return steps.map((step) => {
    state = predict(state, step);
    return { step, serving: servingNodes(state).length };
  });
}

function warningsOf(
  site: Site,
  observed: Observation,
  { target, steps }: { readonly target: Target; readonly steps: readonly Step[] },
): readonly string[] {
  if (steps.length === 0) return [];
  const held = [...new Set(steps.flatMap(({ nodes }) => nodes))].filter((node) => isHeldOut(observed, node));
  const nameless =
    target.release.revision === '' && site.checks.some(({ expect }) => expect?.includes('{{revision}}'));
  return [
    ...(nameless
      ? [
          `Release ${target.release.id} has no REVISION: a check that expects {{revision}} proves nothing of it.`,
        ]
      : []),
    ...held.map(
      (node) => `${node} was taken out of rotation by an operator: it gets the release, and stays out.`,
    ),
    ...(site.balancers.length === 0
      ? ['The site has no balancer: nodes change while they serve, and requests in flight are not protected.']
      : []),
    ...(site.checks.length === 0
      ? ['The site has no checks: nodes take traffic again without proof that the release works.']
      : provesRelease(site)
        ? []
        : [
            'No check expects {{release}} or {{revision}}: a node that still serves the old code would pass.',
          ]),
  ];
}

const provesRelease = ({ checks }: Site): boolean =>
  checks.some(({ expect }) => expect !== null && /\{\{(release|revision)\}\}/.test(expect));
