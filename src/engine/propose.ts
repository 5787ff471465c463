import { failure, isDeployError, lockStaleMs } from '../core/errors.ts';
import type { RunCommand } from '../core/event.ts';
import type { Before, RunIntent } from '../core/intent.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import {
  type Held,
  liveRelease,
  locksIn,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
} from '../core/observation.ts';
import { makePlan, type Plan, type Purpose } from '../core/plan.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import { namedNodes, type Target } from '../core/target.ts';
import type { Comparison, Ports } from '../ports.ts';
import type { Decision, Trouble } from './execute.ts';
import { observe, observeSettledFront } from './observe.ts';
import { flipsOnlyProblems, preflightPools, refuseUnfit, webSocketProblems } from './preflight.ts';
import { shrunk } from './shrunk.ts';
import { describeStep } from './steps/index.ts';
import { refuseUnfitStorage } from './storage.ts';

export interface RunRequest {
  readonly site: Site;
  readonly strategy: Strategy;
  /** The nodes that change; null: all. Lock and floor are the whole stage's in any case. */
  readonly nodes: readonly NodeName[] | null;
  /** Leaves nodes out that cannot be reached, as many as `failuresMax` lets. */
  readonly skipUnreachable: boolean;
  /** Goes on although most of those that vote on the lock cannot be reached. */
  readonly withoutQuorum: boolean;
  /** How long a run that lives is waited for that holds the lock; default: it is not. */
  readonly lockWaitMs?: number;
  /** Aborted with the reason `SIGINT` or `SIGTERM`. */
  readonly signal: AbortSignal;
  /** Whether the site is in maintenance mode while it changes; default: what the site says. */
  readonly maintenance?: boolean;
  /** Asked once the plan is proved, before anything is touched. False: the run ends as refused. */
  readonly confirm: (proposal: Proposal) => Promise<boolean>;
  /** Where nodes are listed that the config does not name; absent: it names all. */
  readonly lists?: NodeLists;
  /** Asked what is to be done about a failure that the site's budget does not cover; null: nobody can be asked. */
  readonly decide: ((trouble: Trouble) => Promise<Decision>) | null;
}

/** The lists of nodes that are kept outside the config. */
export interface NodeLists {
  /** The site as they have it now. Rejects with `NODES_UNLISTED`, or as the config is refused. */
  read(): Promise<Site>;
  /** The ports of such a site, beside those of the run. */
  open(site: Site): Promise<Ports & { close(): Promise<void> }>;
}

/** A plan that was proved, with what a person wants to know before saying yes. */
export interface Proposal {
  readonly plan: Plan;
  readonly observed: Observation;
  /** What the new release adds to the live one; null if there is none, or the source does not know it. */
  readonly comparison: Comparison | null;
  /** For each step of the plan, what it runs. */
  readonly commands: readonly (readonly string[])[];
}

/** What tells the commands apart that change a site. */
export interface Intent {
  readonly command: RunCommand;
  /** Begins at once, beside the observation. Rejects with `REF_UNKNOWN` or `SOURCE_UNREACHABLE`. */
  readonly resolve: () => Promise<Revision | null>;
  /** Where the run leads from here, on the nodes that were asked for. Throws if there is no way. */
  readonly aim: (seen: Seen) => Aim;
}

export interface Seen {
  readonly observed: Observation;
  /** Those that were asked for and can be reached. */
  readonly nodes: readonly NodeName[];
  readonly revision: Revision | null;
}

/** Where a run leads, and how it is told. */
export interface Aim {
  readonly purpose: Purpose;
  /** For the lock and the logs, such as `main`. */
  readonly wanted: string;
  readonly target: Target;
  readonly strategy: Strategy;
  /** What each node had when all this began; null: what it has now. */
  readonly before: Before | null;
  /** The pool that got the traffic when all this began; null: the one that gets it now. */
  readonly pool: PoolName | null;
  /** The dead run that this one goes on for. */
  readonly takesOver: TakenOver | null;
  /** The hold that a person said is over. */
  readonly promotes: string | null;
  readonly maintenance: boolean;
  /** One line for `revisions.log`, in Capistrano's words; null if no release goes live. */
  readonly logLine: string | null;
}

/** What a run that died left: it may have been taking over from another that died. */
export interface TakenOver {
  readonly intent: RunIntent;
  /** All that hold a lock. */
  readonly runs: readonly string[];
}

export interface Proposed {
  readonly proposal: Proposal;
  readonly aim: Aim;
  /** Nodes that cannot be reached, and are left out. */
  readonly skipped: readonly NodeName[];
}

/** Observes the site and resolves the revision at the same time, then plans and proves. Touches nothing. */
export async function proposeFrom(request: RunRequest & Intent, ports: Ports): Promise<Proposed> {
  const [observed, revision] = await bothOrFirstFailure(
    observe(request.site, ports, request.signal, observeSettledFront),
    request.resolve(),
  );
  const { site } = request;
  const skipped = request.skipUnreachable ? unreachableNodes(site, observed) : [];
  const present = site.nodes.filter(({ name }) => !skipped.includes(name));
  const aim = request.aim({ observed, nodes: namedNodes(present, request.nodes), revision });
  refuseUnfit(site, observed, { takesOver: aim.takesOver?.runs ?? [], skipped });
  refuseUnable(site, ports, aim);
  // The way back leads to a release that uses the same storage: nothing is gained by keeping a site from it.
  if (aim.purpose === 'deploy') await refuseUnfitStorage({ ...site, nodes: present }, ports, request.signal);
  const plan = remarked(planFor(site, observed, aim), ports, await shrunk(site, ports, request.signal));
  refuseUnweighable(plan, observed, ports);
  const comparison = aim.purpose === 'deploy' ? await compareLive(ports, observed, aim.target) : null;
  const commands = plan.steps.map(({ step }) => describeStep(step, ports, site));
  return { proposal: { plan, observed, comparison, commands }, aim, skipped };
}

/** Throws `TOO_MANY_UNREACHABLE` if the site does not let so many be left out. */
function unreachableNodes({ failuresMax }: Site, observed: Observation): readonly NodeName[] {
  const lost = Object.values(observed.nodes).filter(({ unreachable }) => unreachable !== null);
  const nodes = lost.map(({ name }) => name);
  if (nodes.length <= failuresMax) return nodes;
  const reasons = lost.map(({ unreachable }) => unreachable ?? '');
  throw failure('TOO_MANY_UNREACHABLE', { nodes, failuresMax, reasons });
}

/** Throws `PREFLIGHT` if a balancer cannot move all traffic at once, or anything else, or keep to a time of WebSockets. */
function refuseUnable(site: Site, { balancers }: Ports, { strategy, purpose }: Aim): void {
  const problems = [
    ...(purpose === 'deploy' || purpose === 'rollback' ? flipsOnlyProblems(strategy, balancers) : []),
    ...(strategy.flips ? preflightPools(site, balancers).problems : []),
    ...webSocketProblems(site, balancers),
  ];
  if (problems.length > 0) throw failure('PREFLIGHT', { problems });
}

/** Both end before the first failure is thrown: no question goes on behind the caller's back. */
async function bothOrFirstFailure<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

export const planFor = (
  site: Site,
  observed: Observation,
  { strategy, purpose, target, before, maintenance }: Aim,
): Plan => makePlan({ site, strategy, purpose, observed, target, before, maintenance });

/** Throws `BALANCER_WITHOUT_WEIGHTS` or `BALANCER_WITHOUT_SHARES` if the plan sets weights of nodes or pools at a balancer that cannot. */
function refuseUnweighable({ steps }: Plan, observed: Observation, { balancers }: Ports): void {
  const nodes = steps.flatMap(({ step }) => (step.kind === 'shift' ? step.nodes : []));
  for (const { name, capabilities } of balancers) {
    const own = nodes.filter((node) => serversOf(observed, node).some(({ balancer }) => balancer === name));
    if (capabilities.weights !== 'server' && own.length > 0)
      throw failure('BALANCER_WITHOUT_WEIGHTS', { balancer: name, nodes: [...new Set(own)] });
  }
  const pool = steps.flatMap(({ step }) => (step.kind === 'flip' && step.share ? step.to : []))[0];
  const unable = balancers.filter(({ capabilities }) => capabilities.weights !== 'pool');
  if (pool !== undefined && unable.length > 0)
    throw failure('BALANCER_WITHOUT_SHARES', { pool, balancers: unable.map(({ name }) => name) });
}

/** With what the balancers' abilities make of a plan that is judged by what they count, and `more`. */
const remarked = (plan: Plan, { balancers }: Ports, more: readonly string[]): Plan => {
  const counts = balancers.some(({ capabilities }) => capabilities.counters);
  return { ...plan, warnings: [...plan.warnings, ...(counts ? [] : uncounted(plan)), ...more] };
};

function uncounted({ steps }: Plan): readonly string[] {
  const holds = steps.flatMap(({ step }) => (step.kind === 'hold' && step.forMs !== null ? [step] : []));
  return [
    ...(holds.some(({ judged }) => judged !== null)
      ? ['No balancer counts what nodes answer: every step of the canary ends in a hold, for a person.']
      : []),
    ...(holds.some(({ flipped }) => flipped !== null)
      ? ['No balancer counts what nodes answer: after the flip, health and checks alone judge the pool.']
      : []),
  ];
}

/** A live revision that the source no longer has (a rewritten branch) can be deployed over, and not compared. */
async function compareLive(
  ports: Ports,
  observed: Observation,
  { release, nodes }: Target,
): Promise<Comparison | null> {
  const live = newestLive(observed, nodes);
  if (live === null || live === release.revision) return null;
  try {
    return await ports.source.compare(live, release.revision);
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return null;
  }
}

function newestLive(observed: Observation, nodes: readonly NodeName[]): Revision | null {
  const live = nodes
    .map((name) => nodeState(observed, name))
    .flatMap((state) => {
      const id = liveRelease(state);
      return id === null ? [] : [releaseOn(state, id)];
    })
    .filter((release) => release !== null)
    .toSorted((a, b) => (a.id < b.id ? 1 : -1));
  return live[0]?.revision ?? null;
}

/** What each node has now; a release of another tool may have no revision. */
export const releasesOn = (observed: Observation): Before =>
  Object.fromEntries(
    Object.values(observed.nodes).map((node) => {
      const id = liveRelease(node);
      const revision = id === null ? null : (releaseOn(node, id)?.revision ?? ('' as Revision));
      return [node.name, id === null || revision === null ? null : { id, revision }];
    }),
  );

/**
 * What a run that died, or is held, left to be taken over. Throws `NOTHING_TO_RESUME`, `HOLDER_ALIVE` if any lock is
 * fresh and not `force`, or `NOT_RESUMABLE`.
 */
export function abandonedRun(observed: Observation, force: boolean): TakenOver {
  const locked = byLife(observed);
  const [freshest] = locked;
  if (!freshest) throw failure('NOTHING_TO_RESUME', {});
  const { lock } = freshest;
  const held = heldOf(observed);
  if (!held && lock.silentMs <= lockStaleMs && !force) throw failure('HOLDER_ALIVE', { lock });
  const { intent } = lock;
  if (!intent) throw failure('NOT_RESUMABLE', { lock });
  const runs = [...new Set(locked.map(({ lock }) => lock.run))];
  return { intent: { ...intent, before: beforeNow(observed, intent) }, runs };
}

/**
 * A node without the lock that has neither of the run's releases was changed by somebody since: that is its state. One that
 * joined since had no part in the run.
 */
const beforeNow = (observed: Observation, { before, release }: RunIntent): Before => {
  const now = releasesOn(observed);
  const foreign = Object.values(observed.nodes).filter(
    ({ name, lock, unreachable }) =>
      Object.hasOwn(before, name) &&
      lock === null &&
      unreachable === null &&
      ![before[name]?.id, release.id].includes(now[name]?.id),
  );
  return { ...before, ...Object.fromEntries(foreign.map(({ name }) => [name, now[name] ?? null])) };
};

/** The same of a run that died. Throws also `HELD`: it is for a person to say how that goes on. */
export function deadRun(observed: Observation, force: boolean): TakenOver {
  const held = heldOf(observed);
  if (held) throw failure('HELD', held);
  return abandonedRun(observed, force);
}

/** The same of a run that is held. Throws `NOT_HELD`. */
export function heldRun(observed: Observation): TakenOver & { readonly held: Held } {
  const held = heldOf(observed);
  if (!held) throw failure('NOT_HELD', { lock: byLife(observed)[0]?.lock ?? null });
  return { ...abandonedRun(observed, false), held };
}

/** The one that showed last that it lives comes first. */
const byLife = (observed: Observation): ReturnType<typeof locksIn> =>
  locksIn(observed).toSorted((a, b) => a.lock.silentMs - b.lock.silentMs);

/** A node that did not hear of it has the run's lock all the same. */
const heldOf = (observed: Observation): Held | null =>
  byLife(observed).find(({ lock }) => lock.held)?.lock.held ?? null;
