import { failure, isDeployError, lockStaleMs } from '../core/errors.ts';
import type { Before, RunIntent } from '../core/intent.ts';
import type { NodeName } from '../core/node.ts';
import { liveRelease, nodeState, type Observation, releaseOn } from '../core/observation.ts';
import { makePlan, type Plan, type Purpose } from '../core/plan.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Target } from '../core/target.ts';
import type { Comparison, Ports } from '../ports.ts';
import { observe } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
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
  readonly command: 'deploy' | 'rollback' | 'resume' | 'abort';
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
  /** The dead run that this one goes on for. */
  readonly takesOver: TakenOver | null;
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
  // The way back leads to a release that uses the same storage: nothing is gained by keeping a site from it.
  if (aim.purpose === 'deploy') await refuseUnfitStorage(request.site, ports, request.signal);
  const plan = planFor(request.site, observed, aim);
  const comparison = aim.purpose === 'deploy' ? await compareLive(ports, observed, aim.target) : null;
  const commands = plan.steps.map(({ step }) => describeStep(step, ports, request.site));
  return { proposal: { plan, observed, comparison, commands }, aim };
}

/** Both end before the first failure is thrown: no question goes on behind the caller's back. */
async function bothOrFirstFailure<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

export const planFor = (site: Site, observed: Observation, { strategy, purpose, target }: Aim): Plan =>
  makePlan({ site, strategy, purpose, observed, target });

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
 * What a run that died left to be taken over. Throws `NOTHING_TO_RESUME`, `HOLDER_ALIVE` if any lock is fresh and not
 * `force`, or `NOT_RESUMABLE`.
 */
export function deadRun(observed: Observation, force: boolean): TakenOver {
  const locked = Object.values(observed.nodes).flatMap(({ name, lock }) => (lock ? [{ name, lock }] : []));
  const freshest = locked.toSorted((a, b) => a.lock.silentMs - b.lock.silentMs)[0];
  if (!freshest) throw failure('NOTHING_TO_RESUME', {});
  if (freshest.lock.silentMs <= lockStaleMs && !force) throw failure('HOLDER_ALIVE', { lock: freshest.lock });
  const { intent } = freshest.lock;
  if (!intent) throw failure('NOT_RESUMABLE', { lock: freshest.lock });
  return { intent, runs: Object.fromEntries(locked.map(({ name, lock }) => [name, lock.run])) };
}
