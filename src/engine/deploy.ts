import { failure } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import type { RunIntent } from '../core/intent.ts';
import { hasComplete, nodeState, type Observation } from '../core/observation.ts';
import { recovery } from '../core/recovery.ts';
import type { ReleaseId, Revision } from '../core/release.ts';
import { flipOver, type Strategy } from '../core/strategy.ts';
import {
  deployTarget,
  flipTarget,
  namedNodes,
  newTarget,
  nodesToRenew,
  poolsOf,
  rollbackTarget,
  type Target,
} from '../core/target.ts';
import type { Ports } from '../ports.ts';
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
  type TakenOver,
} from './propose.ts';

type DeployRequest = RunRequest & { readonly ref: string };
type RollbackRequest = RunRequest & { readonly to: ReleaseId | null };
/** `back`: to the pool with the older release. */
type FlipRequest = RunRequest & { readonly back: boolean };
/** `force`: although the lock's holder may be alive. It is fenced off: it changes nothing any more. */
type TakeOverRequest = RunRequest & { readonly force: boolean };

/** Brings `ref` live. Never rejects for a failure: the report says how it ended, events said how it went. */
export const deploy = (request: DeployRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...deploying(request, ports) }, ports);

/** Brings an earlier release live again: `to`, or the newest good one before the live one. */
export const rollback = (request: RollbackRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...rollingBack(request, ports) }, ports);

/** Sends all traffic to the other pool, once that was checked: no release is made, and no node changes. */
export const flip = (request: FlipRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...flipping(request, ports) }, ports);

/** Finishes what a run that died had begun. What is done is not done again. */
export const resume = (request: TakeOverRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...resuming(request, ports) }, ports);

/** Goes on with a run that is held: past its hold, or with what failed once more. */
export const promote = (request: RunRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...promoting(request, ports) }, ports);

/** Takes the fleet back to where it was before a run that died, or is held. */
export const abort = (request: TakeOverRequest, ports: Ports): Promise<Report> =>
  perform({ ...request, ...aborting(request) }, ports);

/** The plan of a deploy, without touching anything. Rejects if the site is not ready or the plan is not safe. */
export const propose = async (request: DeployRequest, ports: Ports): Promise<Proposal> =>
  (await proposeFrom({ ...request, ...deploying(request, ports) }, ports)).proposal;

export const proposeRollback = async (request: RollbackRequest, ports: Ports): Promise<Proposal> =>
  (await proposeFrom({ ...request, ...rollingBack(request, ports) }, ports)).proposal;

export const proposeFlip = async (request: FlipRequest, ports: Ports): Promise<Proposal> =>
  (await proposeFrom({ ...request, ...flipping(request, ports) }, ports)).proposal;

const deploying = (request: DeployRequest, ports: Ports): Intent => ({
  command: 'deploy',
  resolve: () => ports.source.resolve(request.ref, request.signal),
  aim: (observed, revision) => {
    // The revision is what this intent's own `resolve` gave.
    const wanted = revision as Revision;
    const named = namedNodes(request.site.nodes, request.nodes);
    if (request.strategy.flips) refuseParts(request);
    const nodes = request.strategy.flips ? nodesToRenew(observed, wanted) : named;
    const target = deployTarget(observed, nodes, wanted, ports.clock.nowMs());
    return forward(request, ports, { purpose: 'deploy', wanted: request.ref, target });
  },
});

const rollingBack = (request: RollbackRequest, ports: Ports): Intent => ({
  command: 'rollback',
  resolve: noRevision,
  aim: (observed) => {
    const named = namedNodes(request.site.nodes, request.nodes);
    if (request.strategy.flips) refuseParts(request);
    const { idle, serving } = request.strategy.flips ? poolsOf(observed) : { idle: named, serving: named };
    const target = rollbackTarget(observed, idle, request.to, serving);
    return forward(request, ports, {
      purpose: 'rollback',
      wanted: request.to ?? 'to the release before',
      target,
    });
  },
});

const flipping = (request: FlipRequest, ports: Ports): Intent => ({
  command: 'flip',
  resolve: noRevision,
  aim: (observed) => {
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
  aim: (observed) => goingOn(request, ports, { observed, takesOver: deadRun(observed, request.force) }),
});

const promoting = (request: RunRequest, ports: Ports): Intent => ({
  command: 'promote',
  resolve: noRevision,
  aim: (observed) => {
    const { held, ...takesOver } = heldRun(observed);
    return { ...goingOn(request, ports, { observed, takesOver }), promotes: held.hold };
  },
});

/** To where the run led that left its lock. */
function goingOn(
  request: RunRequest,
  ports: Ports,
  { observed, takesOver }: { readonly observed: Observation; readonly takesOver: TakenOver },
): Aim {
  const { intent } = takesOver;
  const { purpose, wanted, before, pool } = intent;
  const target = resumeTarget(observed, intent, ports);
  const strategy: Strategy = purpose === 'flip' ? flipOver : request.strategy;
  const aim = forward({ ...request, strategy }, ports, { purpose, wanted, target });
  return { ...aim, before, pool, takesOver };
}

const aborting = ({ site, force }: TakeOverRequest): Intent => ({
  command: 'abort',
  resolve: noRevision,
  aim: (observed) => {
    const takesOver = abandonedRun(observed, force);
    const { wanted, release, nodes, before, pool } = takesOver.intent;
    return {
      purpose: 'recovery',
      wanted,
      target: { release, nodes, onceAs: takesOver.intent.onceAs },
      strategy: recovery({ policy: 'rollback', before, pool, servingMin: site.servingMin }),
      before,
      pool,
      takesOver,
      promotes: null,
      logLine: null,
    };
  },
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
  readonly [P in RunIntent['purpose']]: (aim: Pick<Aim, 'wanted' | 'target'>, operator: string) => string;
} = {
  deploy: ({ wanted, target: { release } }, operator) =>
    `Branch ${wanted} (at ${release.revision}) deployed as release ${release.id} by ${operator}`,
  rollback: ({ target: { release } }, operator) => `${operator} rolled back to release ${release.id}`,
  flip: ({ wanted, target: { release } }, operator) =>
    `${operator} flipped ${wanted}, with release ${release.id}`,
};

const forward = (
  { strategy }: RunRequest,
  { operator }: Ports,
  aim: Pick<Aim, 'wanted' | 'target'> & { readonly purpose: RunIntent['purpose'] },
): Aim => ({
  ...aim,
  strategy,
  before: null,
  pool: null,
  takesOver: null,
  promotes: null,
  logLine: logLines[aim.purpose](aim, operator.name),
});

export type { Decision, Trouble } from './execute.ts';
export type { Proposal, RunRequest } from './propose.ts';
