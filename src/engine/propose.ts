import { isDeployError } from '../core/errors.ts';
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

/** What tells a deploy from a rollback: where it leads, and how the logs say it. */
export interface Intent {
  readonly purpose: Exclude<Purpose, 'recovery'>;
  /** What was asked for, such as a branch; shown to whoever meets the lock. */
  readonly wanted: string;
  /** Begins at once, beside the observation. Rejects with `REF_UNKNOWN` or `SOURCE_UNREACHABLE`. */
  readonly resolve: () => Promise<Revision | null>;
  readonly targetOf: (observed: Observation, revision: Revision | null) => Target;
  /** One line for `revisions.log`, in Capistrano's words. */
  readonly logLine: (target: Target, operator: string) => string;
}

/** Observes the site and resolves the revision at the same time, then plans and proves. Touches nothing. */
export async function proposeFrom(request: RunRequest & Intent, ports: Ports): Promise<Proposal> {
  const [observed, revision] = await bothOrFirstFailure(
    observe(request.site, ports, request.signal),
    request.resolve(),
  );
  refuseUnfit(request.site, observed);
  const target = request.targetOf(observed, revision);
  const plan = planFor(request, observed, target);
  const comparison = request.purpose === 'deploy' ? await compareLive(ports, observed, target) : null;
  const commands = plan.steps.map(({ step }) => describeStep(step, ports, request.site));
  return { plan, observed, comparison, commands };
}

/** Both end before the first failure is thrown: no question goes on behind the caller's back. */
async function bothOrFirstFailure<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

export const planFor = (
  { site, strategy, purpose }: Pick<RunRequest & Intent, 'site' | 'strategy' | 'purpose'>,
  observed: Observation,
  target: Target,
): Plan => makePlan({ site, strategy, purpose, observed, target });

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
