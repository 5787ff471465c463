import { cronHolders, cronRemarks, withCron } from './cron.ts';
import { list } from './errors.ts';
import { type Duty, type HookPhase, type HookPoint, type HookSpec, hookPhases } from './hook.ts';
import type { Before } from './intent.ts';
import { dutyNames } from './migration.ts';
import type { NodeName } from './node.ts';
import {
  bearingNodes,
  hasComplete,
  hasWeight,
  isDoneOnce,
  isHeldOut,
  livePool,
  liveRelease,
  type MaintenanceState,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
} from './observation.ts';
import { predict } from './predict.ts';
import { prove } from './proof.ts';
import type { Revision } from './release.ts';
import type { Site } from './site.ts';
import { holdMark, type Step, type StepKind } from './step.ts';
import type { Strategy } from './strategy.ts';
import { holderOf } from './sync.ts';
import type { Target } from './target.ts';

/** All that a run will do, in order: made, proved and shown before anything is touched. Plain data. */
export interface Plan {
  readonly purpose: Purpose;
  /** The strategy's sentence. */
  readonly summary: string;
  readonly target: Target;
  readonly steps: readonly PlannedStep[];
  readonly servingMin: number;
  /** Nodes that serve with their whole weight before the first step. */
  readonly servingBefore: number;
  readonly warnings: readonly string[];
}

export interface PlannedStep {
  readonly step: Step;
  /** Nodes that serve with their whole weight once the step is done: the fewest of all is the plan's lowest point. */
  readonly serving: number;
}

/** Why a plan is made: it decides which hooks stand around it, and whether old releases are removed at the end. */
export type Purpose = 'deploy' | 'rollback' | 'flip' | 'sync' | 'recovery';

export interface PlanInput {
  readonly site: Site;
  readonly strategy: Strategy;
  readonly purpose: Purpose;
  readonly observed: Observation;
  readonly target: Target;
  /** What each node had when all this began, if that was an earlier run: the way back of this one. */
  readonly before?: Before | null;
  /** In the midst of a run, which sees to the cron at its end. */
  readonly leavesCron?: boolean;
  /** Whether the site is in maintenance mode while its nodes and its database change; default: no. */
  readonly maintenance?: boolean;
}

/** Asks the strategy, completes its steps, and proves the whole. Throws `PLAN_UNSAFE` with every broken promise. */
export function makePlan(input: PlanInput): Plan {
  const { site, strategy, purpose, observed, target } = input;
  const chosen = shifting(observed, settle(input, [...strategy.steps({ observed, target })]));
  const inner = chosen.length === 0 ? owed(input) : complete(input, chosen);
  const goesBack = purpose === 'recovery';
  const steps = input.leavesCron ? inner : withCron({ site, observed, steps: inner, goesBack });
  const hasAssets = site.assets.length > 0;
  const expands = purpose === 'deploy' && isOwed(input, 'expand');
  prove({
    strategy: strategy.name,
    observed,
    servingMin: site.servingMin,
    steps,
    hasAssets,
    expands,
    goesBack,
  });
  return {
    purpose,
    summary: strategy.summary,
    target,
    steps: withServing(observed, steps),
    servingMin: site.servingMin,
    servingBefore: bearingNodes(observed).length,
    warnings: warningsOf(input, steps),
  };
}

/** The fewest nodes that serve at any moment of the plan. */
export const lowestServing = (plan: Plan): number =>
  Math.min(plan.servingBefore, ...plan.steps.map(({ serving }) => serving));

/** Leaves out what is so already, and what is not ours to do: nodes that an operator took out are not enabled, by a weight neither. */
function settle({ observed, site }: PlanInput, steps: readonly Step[]): readonly Step[] {
  const keeps: { readonly [K in StepKind]?: (node: NodeName, step: Step) => boolean } = {
    prepare: (node, step) => 'release' in step && !hasComplete(nodeState(observed, node), step.release.id),
    drain: (node) => serversOf(observed, node).length > 0,
    enable: (node) => serversOf(observed, node).length > 0 && !isHeldOut(observed, node),
    shift: (node) => serversOf(observed, node).length > 0 && !isHeldOut(observed, node),
    // A balancer that differs from the others shows the wrong pool.
    preview: () => site.preview !== null && livePool(observed) !== null,
    hold: (_node, step) => step.kind === 'hold' && !isDoneOnce(observed, step.onceAs, holdMark(step.name)),
  };
  return steps
    .map((step) => ({
      ...step,
      nodes: step.nodes.filter((node) => !observed.nodes[node] || (keeps[step.kind]?.(node, step) ?? true)),
    }))
    .filter((step) => step.nodes.length > 0);
}

/** Leaves out shifts to a weight that a node has by then. */
function shifting(observed: Observation, steps: readonly Step[]): readonly Step[] {
  if (!steps.some(({ kind }) => kind === 'shift')) return steps;
  let state = observed;
  return steps.flatMap((step) => {
    const nodes =
      step.kind === 'shift'
        ? step.nodes.filter((node) => serversOf(state, node).some((server) => !hasWeight(server, step.to)))
        : step.nodes;
    if (nodes.length === 0) return [];
    state = predict(state, { ...step, nodes });
    return [{ ...step, nodes }];
  });
}

function complete(input: PlanInput, chosen: readonly Step[]): readonly Step[] {
  const { purpose, target } = input;
  const { nodes } = target;
  const prepares = chosen.some(({ kind }) => kind === 'prepare');
  const lends = lending(input, chosen);
  const builds = prepares || lends.length > 0 ? [...artifactSteps(input), ...lends] : [];
  const removes = purpose === 'deploy' ? cleanup(input) : [];
  const hooks = hookPlaces(input);
  // A run that died between preparing and its hooks left them to the one that goes on.
  const missed = purpose === 'deploy' && !prepares ? hooks.around('prepare', nodes, []) : [];
  const steps = [...builds, ...chosen, ...removes].flatMap((step) =>
    isHookPhase(step.kind) && !lends.includes(step) ? hooks.around(step.kind, step.nodes, [step]) : [step],
  );
  if (purpose !== 'deploy' && purpose !== 'rollback') return steps;
  const all = hooks.around(purpose, nodes, [...missed, ...steps]);
  const isEarly = all.some(isContract) && behind(input, all).length > 0;
  const due = isEarly ? all.filter((step) => !isContract(step)) : all;
  return inMaintenance(input, [...due, ...overdue(input, due)]);
}

const isHookPhase = (kind: StepKind): kind is StepKind & HookPhase =>
  (hookPhases as readonly string[]).includes(kind);

/**
 * Of two pools the one that serves gets the release as well, to lend its assets: pages of both are met there after a flip
 * back, and the release that follows finds the assets of this one.
 */
function lending(
  { site, strategy, purpose, observed, target }: PlanInput,
  chosen: readonly Step[],
): readonly Step[] {
  const changes = chosen.some(({ kind }) => kind === 'activate');
  if (purpose !== 'deploy' || !strategy.flips || site.assets.length === 0 || !changes) return [];
  const nodes = Object.values(observed.nodes)
    .filter((node) => !target.nodes.includes(node.name) && node.unreachable === null)
    .filter((node) => !hasComplete(node, target.release.id))
    .map(({ name }) => name);
  return nodes.length === 0 ? [] : [{ kind: 'prepare', nodes, release: target.release }];
}

/** A release is built once for the fleet: nodes that come later get the bytes of one that has it. */
function artifactSteps({ observed, target: { release, nodes } }: PlanInput): readonly Step[] {
  const from = holderOf(observed, release.id);
  return [from === null ? { kind: 'build', nodes, release } : { kind: 'fetch', nodes, from, release }];
}

/** It begins before the backup, for nothing may be written after that which it lacks. What an earlier run left on, ends. */
function inMaintenance(
  { purpose, observed, maintenance = false }: PlanInput,
  steps: readonly Step[],
): readonly Step[] {
  const on = purpose === 'deploy' && maintenance ? maintainedBy(observed, null) : [];
  const ours = [...on, ...maintainedBy(observed, 'run')];
  const off = Object.keys(observed.nodes).filter((node) => ours.includes(node));
  const first = steps.findIndex((step) =>
    step.kind === 'hook' ? step.duty !== undefined : step.kind === 'drain' || step.kind === 'activate',
  );
  const at = first < 0 ? steps.length : first;
  const set = (to: 'on' | 'off', nodes: readonly NodeName[]): readonly Step[] =>
    nodes.length === 0 ? [] : [{ kind: 'maintenance', nodes, to }];
  return [...steps.slice(0, at), ...set('on', on), ...steps.slice(at), ...set('off', off)];
}

const maintainedBy = (observed: Observation, by: MaintenanceState['by'] | null): readonly NodeName[] =>
  Object.values(observed.nodes).flatMap(({ name, maintenance }) =>
    (maintenance?.by ?? null) === by ? [name] : [],
  );

/** Where all nodes have a release whose schema was expanded, and was not contracted with the last of them. */
function owed(input: PlanInput): readonly Step[] {
  const isLeft = input.purpose === 'deploy' && isOwed(input, 'contract') && !isOwed(input, 'expand');
  if (!isLeft || behind(input, []).length > 0) return overdue(input, []);
  return hookPlaces(input).around('deploy', input.target.nodes, []).filter(isContract);
}

/**
 * The schema of the oldest release that is still live is contracted once the one before it is gone from the last node: of
 * two pools, by the deploy that renews the pool which was kept warm.
 */
function overdue({ site, purpose, observed, target }: PlanInput, steps: readonly Step[]): readonly Step[] {
  const hook = site.hooks.find(({ duty }) => duty === 'contract');
  if (purpose !== 'deploy' || !hook) return [];
  const nodes = Object.values(steps.reduce(predict, observed).nodes);
  const [id = null] = nodes
    .map((node) => liveRelease(node) ?? null)
    .toSorted((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1));
  if (id === null || id === target.release.id) return [];
  const isDone = (duty: Duty): boolean => isDoneOnce(observed, id, dutyNames[duty]);
  if (!isDone('expand') || isDone('contract')) return [];
  const holders = nodes.filter((node) => liveRelease(node) === id);
  const begun = nodes.find(({ once }) => once.some((mark) => mark.release === id && mark.hook === hook.name));
  const names = begun
    ? [begun.name]
    : hookNodes(
        site,
        hook,
        holders.map(({ name }) => name),
      );
  const revision = releaseOn(holders[0]!, id)?.revision ?? ('' as Revision);
  const { name, point } = hook;
  return names.map((node) => ({
    kind: 'hook',
    nodes: [node],
    hook: name,
    point,
    once: true,
    onceAs: id,
    release: { id, revision },
    duty: 'contract',
  }));
}

/** The site has such work, and it is not done for the release. */
const isOwed = ({ site, observed, target }: PlanInput, duty: Duty): boolean =>
  site.hooks.some((hook) => hook.duty === duty) &&
  !isDoneOnce(observed, target.onceAs ?? target.release.id, dutyNames[duty]);

const isContract = (step: Step): boolean => step.kind === 'hook' && step.duty === 'contract';

/** Nodes of the site that do not have the release once the steps are done. */
function behind({ observed, target }: PlanInput, steps: readonly Step[]): readonly NodeName[] {
  const { nodes } = steps.reduce(predict, observed);
  return Object.values(nodes).flatMap((node) => (liveRelease(node) === target.release.id ? [] : [node.name]));
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
 * the release, on the way back, or for nodes that come later. One that was cut off stands where it began, to say so.
 */
function hookPlaces({ site, purpose, observed, target }: PlanInput): HookPlaces {
  const { release, onceAs = release.id } = target;
  const marks = Object.values(observed.nodes).flatMap(({ name, once }) =>
    once.filter((mark) => mark.release === onceAs).map((mark) => ({ ...mark, node: name })),
  );
  const seen = new Set(marks.filter(({ state }) => state === 'done').map(({ hook }) => hook));
  const nodesOf = (hook: HookSpec, nodes: readonly NodeName[]): readonly NodeName[] => {
    if (!runsOnce(hook)) return hookNodes(site, hook, nodes);
    if (seen.has(hook.name) || !['deploy', 'rollback'].includes(purpose)) return [];
    const begun = marks.find((mark) => mark.hook === hook.name)?.node;
    return begun ? [begun] : hookNodes(site, hook, nodes);
  };
  const at = (point: HookPoint, nodes: readonly NodeName[]): readonly Step[] =>
    site.hooks.flatMap((hook): readonly Step[] => {
      const on = hook.point === point ? nodesOf(hook, nodes) : [];
      if (on.length === 0) return [];
      seen.add(hook.name);
      const duty = hook.duty ? { duty: hook.duty } : {};
      return [
        { kind: 'hook', nodes: on, hook: hook.name, point, once: runsOnce(hook), onceAs, release, ...duty },
      ];
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
    return { step, serving: bearingNodes(state).length };
  });
}

function warningsOf(input: PlanInput, steps: readonly Step[]): readonly string[] {
  if (steps.length === 0) return [];
  const { site, observed, target } = input;
  const held = [...new Set(steps.flatMap(({ nodes }) => nodes))].filter((node) => isHeldOut(observed, node));
  const nameless =
    target.release.revision === '' && site.checks.some(({ expect }) => expect?.includes('{{revision}}'));
  return [
    ...cronRemarks(site, observed).filter(() => cronHolders(observed).length > 0),
    ...migrationWarnings(input, steps),
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

function migrationWarnings(input: PlanInput, steps: readonly Step[]): readonly string[] {
  const { site, observed, purpose } = input;
  const { release, onceAs = release.id } = input.target;
  const planned = (duty: Duty): boolean => steps.some((step) => step.kind === 'hook' && step.duty === duty);
  const [closing] = site.hooks.flatMap(({ duty, action }) =>
    action.kind === 'nodes' && action.closesWayBack && duty && planned(duty)
      ? [closingTexts[duty](action.closesWayBack === true ? 'closes' : 'may close')]
      : [],
  );
  const theirs = maintainedBy(observed, 'operator');
  const last = purpose === 'deploy' && isOwed(input, 'contract') ? behind(input, steps) : [];
  const cutOff = Object.values(observed.nodes).flatMap(({ name, once, releases }) =>
    once
      .filter(
        (mark) =>
          planned('expand') &&
          mark.state === 'begun' &&
          mark.hook === dutyNames.expand &&
          mark.release !== onceAs &&
          releases.some(({ id, revision }) => id === mark.release && revision === release.revision),
      )
      .map(
        (mark) =>
          `The migration of this revision was cut off on ${name}, as release ${mark.release}: nobody knows how that ended, and it is run again.`,
      ),
  );
  return [
    ...(closing ? [closing] : []),
    ...cutOff,
    ...(theirs.length > 0 ? [`An operator set maintenance mode on ${list(theirs)}: it stays on.`] : []),
    ...(last.length > 0
      ? [
          `The schema is not contracted: ${list(last)} will not have ${release.id}. The deploy after which no node has an older one does that.`,
        ]
      : []),
  ];
}

const closingTexts: { readonly [D in Duty]: (closes: string) => string } = {
  backup: () => '',
  expand: (closes) =>
    `The migration ${closes} the way back before the first node changes: no failure from then on brings a release before live again, the run is held for a person instead.`,
  contract: (closes) =>
    `Contracting the schema ${closes} the way back: sluice rollback refuses from then on.`,
};

const provesRelease = ({ checks }: Site): boolean =>
  checks.some(({ expect }) => expect !== null && /\{\{(release|revision)\}\}/.test(expect));
