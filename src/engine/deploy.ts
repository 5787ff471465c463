import { failure } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import { timeOfCompact } from '../core/instant.ts';
import type { RunIntent } from '../core/intent.ts';
import type { Node, NodeName, PoolName } from '../core/node.ts';
import { closedBy, hasComplete, nodeState, type Observation } from '../core/observation.ts';
import { closedWays, recovery } from '../core/recovery.ts';
import type { Release, ReleaseId, Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { flipOver, type Strategy } from '../core/strategy.ts';
import { bringingUp, syncTarget } from '../core/sync.ts';
import {
  deployTarget,
  flipTarget,
  newTarget,
  nodesToRenew,
  poolsOf,
  rollbackTarget,
  type Target,
} from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { lookingPast, noMoreQuestions } from './absence.ts';
import { withJoiners } from './join.ts';
import { perform } from './perform.ts';
import {
  type Aim,
  abandonedRun,
  deadRun,
  heldRun,
  type Intent,
  type Proposal,
  proposeFrom,
  type RunRequest,
  type Seen,
  type TakenOver,
} from './propose.ts';

type DeployRequest = RunRequest & {
  readonly ref: string;
  /** What an approved plan says: its revision is deployed, wherever `ref` points by now, under the plan's own name. */
  readonly planned?: Release;
};
type RollbackRequest = RunRequest & WayBack & { readonly to: ReleaseId | null };
/** `back`: to the pool with the older release. */
type FlipRequest = RunRequest & { readonly back: boolean };
/** `force`: although the lock's holder may be alive. It is fenced off: it changes nothing any more. */
type TakeOverRequest = RunRequest & WayBack & { readonly force: boolean };
/** A person's word that an irreversible migration is no obstacle; default: it is. It is recorded. */
type WayBack = { readonly acrossIrreversible?: boolean };

/** Brings `ref` live. Never rejects for a failure: the report says how it ended, events said how it went. */
export const deploy = (request: DeployRequest, ports: Ports): Promise<Report> =>
  gated(request, ports, deploying);

/** Brings an earlier release live again: `to`, or the newest good one before the live one. */
export const rollback = (request: RollbackRequest, ports: Ports): Promise<Report> =>
  gated(request, ports, rollingBack);

/**
 * Brings nodes that are behind, new or built anew to the live release of the others, or to `to`. Two pools may have two
 * releases: each is brought to its own, by a run of its own, until one does not end well. Returns the last that did something.
 */
export const sync = (request: RollbackRequest, ports: Ports): Promise<Report> =>
  withJoiners(request, ports, {
    run: async (own, open) => ({ report: await syncNodes(own, open), known: namesOf(own.site) }),
    bringUp: syncNodes,
  });

async function syncNodes(request: RollbackRequest, ports: Ports): Promise<Report> {
  const [first = null, ...others] = poolsToSync(request);
  const run = (pool: PoolName | null): Promise<Report> =>
    perform({ ...request, ...syncing(request, ports, pool) }, ports);
  let report = await run(first);
  for (const pool of others) {
    if (report.exit !== 0) return report;
    report = joined(
      report,
      await run(pool),
      request.site.nodes.filter((node) => node.pool === pool),
    );
  }
  return report;
}

/** What a run says that follows another that is done: one that touched nothing does not say so of both. */
function joined(before: Report, next: Report, nodes: readonly Node[]): Report {
  if (next.outcome === 'nothing to do') return before;
  const isUntouched = next.exit === 2 || next.exit === 5;
  if (!isUntouched || before.outcome === 'nothing to do') return next;
  const behind = nodes.map(({ name }) => name);
  return { ...before, outcome: 'done in part', exit: 6, failure: next.failure, behind };
}

const poolsToSync = ({ site, nodes }: RunRequest): readonly (PoolName | null)[] => [
  ...new Set(site.nodes.filter(({ name }) => nodes?.includes(name) ?? true).map(({ pool }) => pool)),
];

/** Sends all traffic to the other pool, once that was checked: no release is made, and no node changes. */
export const flip = (request: FlipRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...flipping(request, ports) }, ports);

/** Finishes what a run that died had begun. What is done is not done again. */
export const resume = (request: TakeOverRequest, ports: Ports): Promise<Report> =>
  gated(request, ports, resuming);

/** Goes on with a run that is held: past its hold, or with what failed once more. */
export const promote = (request: RunRequest, ports: Ports): Promise<Report> =>
  gated(request, ports, promoting);

/** Takes the fleet back to where it was before a run that died, or is held. */
export const abort = (request: TakeOverRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...aborting(request) }, ports);

/** A run to whose release nodes are brought that join while it is under way. */
const gated = <R extends RunRequest>(
  request: R,
  ports: Ports,
  intent: (request: R, ports: Ports) => Intent,
): Promise<Report> =>
  withJoiners(request, ports, {
    async run(own, open) {
      const { aim, ...rest } = intent(own, open);
      let known = namesOf(own.site);
      const noting = (seen: Seen): Aim => {
        const found = aim(seen);
        if (found.before) known = Object.keys(found.before);
        return found;
      };
      return { report: await perform({ ...own, ...rest, aim: noting }, open), known };
    },
    bringUp: syncNodes,
  });

const namesOf = ({ nodes }: Site): readonly NodeName[] => nodes.map(({ name }) => name);

/** The plan of a deploy, without touching anything. Rejects if the site is not ready or the plan is not safe. */
export const propose = (request: DeployRequest, ports: Ports): Promise<Proposal> =>
  proposalOf({ ...request, ...deploying(request, ports) }, ports);

export const proposeRollback = (request: RollbackRequest, ports: Ports): Promise<Proposal> =>
  proposalOf({ ...request, ...rollingBack(request, ports) }, ports);

export const proposeFlip = (request: FlipRequest, ports: Ports): Promise<Proposal> =>
  proposalOf({ ...request, ...flipping(request, ports) }, ports);

async function proposalOf(request: RunRequest & Intent, ports: Ports): Promise<Proposal> {
  const seen = lookingPast(request.site, ports);
  try {
    return (await proposeFrom(request, seen.ports)).proposal;
  } finally {
    await noMoreQuestions(seen.absences);
  }
}

const deploying = (request: DeployRequest, ports: Ports): Intent => ({
  command: 'deploy',
  resolve: () => ports.source.resolve(request.planned?.revision ?? request.ref, request.signal),
  aim: ({ observed, nodes: named, revision }) => {
    // The revision is what this intent's own `resolve` gave.
    const wanted = revision as Revision;
    if (request.strategy.flips) refuseParts(request);
    const nodes = request.strategy.flips
      ? nodesToRenew(observed, wanted).filter((name) => named.includes(name))
      : named;
    const madeMs = request.planned ? timeOfCompact(request.planned.id) : ports.clock.nowMs();
    const target = deployTarget(observed, nodes, wanted, madeMs);
    return forward(request, ports, { purpose: 'deploy', wanted: request.ref, target });
  },
});

const rollingBack = (request: RollbackRequest, ports: Ports): Intent => ({
  command: 'rollback',
  resolve: noRevision,
  aim: ({ observed, nodes: named }) => {
    if (request.strategy.flips) refuseParts(request);
    const { idle, serving } = request.strategy.flips ? poolsOf(observed) : { idle: named, serving: named };
    const target = rollbackTarget(observed, idle, request.to, serving);
    const barrier = closedBy(observed, target.release.id);
    const wanted = `${request.to ?? 'to the release before'}${across(request, target.release.id, barrier)}`;
    return forward(request, ports, { purpose: 'rollback', wanted, target });
  },
});

/** What the log says of a way back that is closed. Throws `IRREVERSIBLE` unless a person said that it is to be gone. */
function across(
  { acrossIrreversible = false }: WayBack,
  release: ReleaseId,
  barrier: ReleaseId | null,
): string {
  if (barrier === null) return '';
  if (!acrossIrreversible) throw failure('IRREVERSIBLE', { release, closedBy: barrier });
  return `, across the irreversible migration of ${barrier}`;
}

const syncing = (request: RollbackRequest, ports: Ports, pool: PoolName | null): Intent => ({
  command: 'sync',
  resolve: noRevision,
  aim: ({ observed, nodes: named }) => {
    const nodes = named.filter((name) => nodeState(observed, name).pool === pool);
    const target = syncTarget(observed, nodes, { pool, to: request.to });
    const { id } = target.release;
    const wanted = `to ${id}${across(request, id, closedBy(observed, id))}`;
    return forward(request, ports, { purpose: 'sync', wanted, target });
  },
});

const flipping = (request: FlipRequest, ports: Ports): Intent => ({
  command: 'flip',
  resolve: noRevision,
  aim: ({ observed }) => {
    const { pool, ...target } = flipTarget(observed, request.back);
    return forward({ ...request, strategy: flipOver }, ports, {
      purpose: 'flip',
      wanted: `to ${pool}`,
      target,
    });
  },
});

/** Throws `USAGE` if only some nodes were asked for: a pool is renewed whole. */
function refuseParts({ nodes, strategy }: RunRequest): void {
  if (nodes === null) return;
  throw failure('USAGE', {
    problem: `--nodes: ${strategy.name} renews the whole of a pool, and never a part of it.`,
  });
}

const resuming = (request: TakeOverRequest, ports: Ports): Intent => ({
  command: 'resume',
  resolve: noRevision,
  aim: (seen) => goingOn(request, ports, { ...seen, takesOver: deadRun(seen.observed, request.force) }),
});

const promoting = (request: RunRequest, ports: Ports): Intent => ({
  command: 'promote',
  resolve: noRevision,
  aim: (seen) => {
    const { held, ...takesOver } = heldRun(seen.observed);
    return { ...goingOn(request, ports, { ...seen, takesOver }), promotes: held.hold };
  },
});

/** To where the run led that left its lock. */
function goingOn(
  request: RunRequest,
  ports: Ports,
  { observed, nodes, takesOver }: Seen & { readonly takesOver: TakenOver },
): Aim {
  const intent = on(nodes, takesOver.intent);
  const { purpose, wanted, before, pool } = intent;
  const target = resumeTarget(observed, intent, ports);
  const strategy: Strategy = purpose === 'flip' ? flipOver : request.strategy;
  const aim = forward({ ...request, strategy }, ports, { purpose, wanted, target });
  return { ...aim, before, pool, takesOver };
}

const aborting = ({ site, force, ...request }: TakeOverRequest): Intent => ({
  command: 'abort',
  resolve: noRevision,
  aim: ({ observed, nodes: present }) => {
    const takesOver = abandonedRun(observed, force);
    const intent = on(present, takesOver.intent);
    const { release, nodes, before, pool, onceAs } = intent;
    const [goesBack] = closedWays(observed, intent);
    const wanted = `${intent.wanted}${goesBack ? across(request, goesBack, closedBy(observed, goesBack) ?? onceAs) : ''}`;
    return {
      purpose: 'recovery',
      wanted,
      target: { release, nodes, onceAs },
      strategy: recovery({ policy: 'rollback', before, pool, servingMin: site.servingMin }),
      before,
      pool,
      takesOver,
      promotes: null,
      maintenance: false,
      logLine: null,
    };
  },
});

/** The part of it that can be reached. */
const on = (present: readonly NodeName[], intent: RunIntent): RunIntent => ({
  ...intent,
  nodes: intent.nodes.filter((name) => present.includes(name)),
});

const noRevision = (): Promise<null> => Promise.resolve(null);

/**
 * The release that the dead run was making, if it is whole wherever it must be. Else the same revision is built anew
 * under a new name, so that the whole fleet gets the same bytes.
 */
function resumeTarget(
  observed: Observation,
  { purpose, release, nodes, onceAs }: RunIntent,
  ports: Ports,
): Target {
  const whole = nodes.every((name) => hasComplete(nodeState(observed, name), release.id));
  if (whole || purpose !== 'deploy') return { release, nodes, onceAs };
  return { ...newTarget(observed, nodes, release.revision, ports.clock.nowMs()), onceAs };
}

const logLines: {
  readonly [P in RunIntent['purpose']]: (
    aim: Pick<Aim, 'wanted' | 'target'>,
    operator: string,
  ) => string | null;
} = {
  deploy: ({ wanted, target: { release } }, operator) =>
    `Branch ${wanted} (at ${release.revision}) deployed as release ${release.id} by ${operator}`,
  rollback: ({ target: { release } }, operator) => `${operator} rolled back to release ${release.id}`,
  // What the others' logs say was live is so already.
  sync: () => null,
  flip: ({ wanted, target: { release } }, operator) =>
    `${operator} flipped ${wanted}, with release ${release.id}`,
};

const forward = (
  { strategy, site, maintenance = site.maintenance?.when === 'always' }: RunRequest,
  { operator }: Ports,
  aim: Pick<Aim, 'wanted' | 'target'> & { readonly purpose: RunIntent['purpose'] },
): Aim => ({
  ...aim,
  strategy: aim.purpose === 'sync' ? bringingUp(site.servingMin) : strategy,
  before: null,
  pool: null,
  takesOver: null,
  promotes: null,
  maintenance,
  logLine: logLines[aim.purpose](aim, operator.name),
});

export type { Decision, Trouble } from './execute.ts';
export type { NodeLists, Proposal, RunRequest } from './propose.ts';
