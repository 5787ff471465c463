import type { HookPhase, HookPoint, HookSpec } from './hook.ts';
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
import type { Step, StepKind } from './step.ts';
import type { Strategy } from './strategy.ts';
import type { Target } from './target.ts';

/** All that a run will do, in order: made, proved and shown before anything is touched. Plain data. */
export interface Plan {
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
export type Purpose = 'deploy' | 'rollback' | 'recovery';

export interface PlanInput {
  readonly site: Site;
  readonly strategy: Strategy;
  readonly purpose: Purpose;
  readonly observed: Observation;
  readonly target: Target;
}

/** Asks the strategy, completes its steps, and proves the whole. Throws `PLAN_UNSAFE` with every broken promise. */
export function makePlan({ site, strategy, purpose, observed, target }: PlanInput): Plan {
  const chosen = settle(observed, [...strategy.steps({ observed, target })]);
  const steps = chosen.length === 0 ? [] : complete({ site, purpose, observed, target, chosen });
  prove({ strategy: strategy.name, observed, servingMin: site.servingMin, steps });
  return {
    summary: strategy.summary,
    target,
    steps: withServing(observed, steps),
    servingMin: site.servingMin,
    servingBefore: servingNodes(observed).length,
    warnings: warningsOf(site, observed, steps),
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
  };
  return steps
    .map((step) => ({
      ...step,
      nodes: step.nodes.filter((node) => !observed.nodes[node] || (keeps[step.kind]?.(node, step) ?? true)),
    }))
    .filter((step) => step.nodes.length > 0);
}

function complete({
  site,
  purpose,
  observed,
  target,
  chosen,
}: Omit<PlanInput, 'strategy'> & {
  readonly chosen: readonly Step[];
}): readonly Step[] {
  const builds = chosen.some(({ kind }) => kind === 'prepare')
    ? [{ kind: 'build', nodes: target.nodes, release: target.release } as const]
    : [];
  const steps: readonly Step[] = [
    ...builds,
    ...chosen,
    ...(purpose === 'deploy' ? cleanup(site, observed, target) : []),
  ];
  return weaveHooks(site, purpose, target, steps);
}

/**
 * Of the releases that were good (whole, and they answered their checks) the newest `keepReleases` stay, the new one
 * and the one before it among them. Half-made and failed releases never count, and go.
 */
function cleanup(site: Site, observed: Observation, target: Target): readonly Step[] {
  const remove = Object.fromEntries(
    target.nodes
      .map((name) => {
        const { releases, current } = nodeState(observed, name);
        const kept = new Set([target.release.id, ...(current.kind === 'release' ? [current.id] : [])]);
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

/** Puts each hook before or after the steps of its phase. A hook that runs once stands at the first such place. */
function weaveHooks(site: Site, purpose: Purpose, target: Target, steps: readonly Step[]): readonly Step[] {
  const seen = new Set<string>();
  const at = (point: HookPoint, nodes: readonly NodeName[]): readonly Step[] =>
    site.hooks
      .filter((hook) => hook.point === point && !(runsOnce(hook) && seen.has(hook.name)))
      .map((hook) => ({ hook, nodes: hookNodes(site, hook, nodes) }))
      .filter(({ nodes: on }) => on.length > 0)
      .map(({ hook, nodes: on }) => {
        seen.add(hook.name);
        return {
          kind: 'hook',
          nodes: on,
          hook: hook.name,
          point,
          once: runsOnce(hook),
          release: target.release,
        };
      });
  const around = (phase: HookPhase, nodes: readonly NodeName[], inside: readonly Step[]): readonly Step[] => [
    ...at(`before:${phase}`, nodes),
    ...inside,
    ...at(`after:${phase}`, nodes),
  ];
  const woven = steps.flatMap((step) =>
    step.kind === 'hook' ? [step] : around(step.kind, step.nodes, [step]),
  );
  return purpose === 'recovery' ? woven : around(purpose, target.nodes, woven);
}

const runsOnce = ({ action }: HookSpec): boolean => action.kind === 'nodes' && action.once;

/** The nodes that a hook runs on; for one that runs on the operator's machine, those that it is told of. */
function hookNodes(site: Site, { action }: HookSpec, nodes: readonly NodeName[]): readonly NodeName[] {
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

function warningsOf(site: Site, observed: Observation, steps: readonly Step[]): readonly string[] {
  if (steps.length === 0) return [];
  const held = [...new Set(steps.flatMap(({ nodes }) => nodes))].filter((node) => isHeldOut(observed, node));
  return [
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
