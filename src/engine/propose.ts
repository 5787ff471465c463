import { failure, isDeployError, lockStaleMs } from '../core/errors.ts';
import type { RunCommand } from '../core/event.ts';
import type { Before, RunIntent } from '../core/intent.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import {
  type Held,
  type LockState,
  liveRelease,
  nodeState,
  type Observation,
  releaseOn,
} from '../core/observation.ts';
import { makePlan, type Plan, type Purpose } from '../core/plan.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Target } from '../core/target.ts';
import type { Comparison, Ports } from '../ports.ts';
import type { Decision, Trouble } from './execute.ts';
import { observe } from './observe.ts';
import { preflightPools, refuseUnfit } from './preflight.ts';
import { describeStep } from './steps/index.ts';
import { refuseUnfitStorage } from './storage.ts';

export interface RunRequest {
  readonly site: Site;
  readonly strategy: Strategy;
  /** The nodes that change; null: all. Lock and floor are the whole stage's in any case. */
  readonly nodes: readonly NodeName[] | null;
  /** Aborted with the reason `SIGINT` or `SIGTERM`. */
  readonly signal: AbortSignal;
  /** Asked once the plan is proved, before anything is touched. False: the run ends as refused. */
  readonly confirm: (proposal: Proposal) => Promise<boolean>;
  /** Asked what is to be done about a failure that the site's budget does not cover; null: nobody can be asked. */
  readonly decide: ((trouble: Trouble) => Promise<Decision>) | null;
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
  /** Where the run leads from here. Throws if there is no way. */
  readonly aim: (observed: Observation, revision: Revision | null) => Aim;
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
  /** One line for `revisions.log`, in Capistrano's words; null if no release goes live. */
  readonly logLine: string | null;
}

/** What a run that died left: it may have been taking over from another that died. */
export interface TakenOver {
  readonly intent: RunIntent;
  /** For each node that is locked, the run that holds it. */
  readonly runs: Readonly<Record<NodeName, string>>;
}

export interface Proposed {
  readonly proposal: Proposal;
  readonly aim: Aim;
}

/** Observes the site and resolves the revision at the same time, then plans and proves. Touches nothing. */
export async function proposeFrom(request: RunRequest & Intent, ports: Ports): Promise<Proposed> {
  const [observed, revision] = await bothOrFirstFailure(
    observe(request.site, ports, request.signal),
    request.resolve(),
  );
  const aim = request.aim(observed, revision);
  refuseUnfit(request.site, observed, Object.values(aim.takesOver?.runs ?? {}));
  if (aim.strategy.flips) refuseUnflippable(request.site, ports);
  // The way back leads to a release that uses the same storage: nothing is gained by keeping a site from it.
  if (aim.purpose === 'deploy') await refuseUnfitStorage(request.site, ports, request.signal);
  const plan = planFor(request.site, observed, aim);
  const comparison = aim.purpose === 'deploy' ? await compareLive(ports, observed, aim.target) : null;
  const commands = plan.steps.map(({ step }) => describeStep(step, ports, request.site));
  return { proposal: { plan, observed, comparison, commands }, aim };
}

/** Throws `PREFLIGHT` if a balancer cannot move all traffic at once. */
function refuseUnflippable(site: Site, { balancers }: Ports): void {
  const { problems } = preflightPools(site, balancers);
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
  { strategy, purpose, target, before }: Aim,
): Plan => makePlan({ site, strategy, purpose, observed, target, before });

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

/**
 * What a run that died, or is held, left to be taken over. Throws `NOTHING_TO_RESUME`, `HOLDER_ALIVE` if any lock is
 * fresh and not `force`, or `NOT_RESUMABLE`.
 */
export function abandonedRun(observed: Observation, force: boolean): TakenOver {
  const locked = lockedNodes(observed);
  const [freshest] = locked;
  if (!freshest) throw failure('NOTHING_TO_RESUME', {});
  const { lock } = freshest;
  const held = heldOf(observed);
  if (!held && lock.silentMs <= lockStaleMs && !force) throw failure('HOLDER_ALIVE', { lock });
  const { intent } = lock;
  if (!intent) throw failure('NOT_RESUMABLE', { lock });
  return { intent, runs: Object.fromEntries(locked.map(({ name, lock }) => [name, lock.run])) };
}

/** The same of a run that died. Throws also `HELD`: it is for a person to say how that goes on. */
export function deadRun(observed: Observation, force: boolean): TakenOver {
  const held = heldOf(observed);
  if (held) throw failure('HELD', held);
  return abandonedRun(observed, force);
}

/** The same of a run that is held. Throws `NOT_HELD`. */
export function heldRun(observed: Observation): TakenOver & { readonly held: Held } {
  const held = heldOf(observed);
  if (!held) throw failure('NOT_HELD', { lock: lockedNodes(observed)[0]?.lock ?? null });
  return { ...abandonedRun(observed, false), held };
}

/** The one that showed last that it lives comes first. */
const lockedNodes = (
  observed: Observation,
): readonly { readonly name: NodeName; readonly lock: LockState }[] =>
  Object.values(observed.nodes)
    .flatMap(({ name, lock }) => (lock ? [{ name, lock }] : []))
    .toSorted((a, b) => a.lock.silentMs - b.lock.silentMs);

/** A node that did not hear of it has the run's lock all the same. */
const heldOf = (observed: Observation): Held | null =>
  lockedNodes(observed).find(({ lock }) => lock.held)?.lock.held ?? null;
