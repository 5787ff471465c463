import { cron, cronHolders, cronOwner, isBesideTraffic, mayHaveCron, withCron } from '../core/cron.ts';
import { type DeployError, failure, list } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { liveRelease, nodeState, type Observation } from '../core/observation.ts';
import { prove } from '../core/proof.ts';
import type { Site } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import { namedNodes } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { byHand } from './by-hand.ts';
import { executeSteps } from './execute.ts';
import { observe } from './observe.ts';
import { refuseLocked } from './preflight.ts';
import { expected, presentNodes, type Run } from './run.ts';

export interface CronRequest {
  readonly to: NodeName;
  /** The operator says that what cannot be read is off: its jobs do not run, and it is recorded that they said so. */
  readonly fenced: boolean;
  readonly signal: AbortSignal;
}

/**
 * Moves the cron of the site to a node that may have it. If jobs go on for too long where it was it stays there. Takes
 * the lock of the nodes that can be reached. Rejects with `CRON_UNFIT`, `CRON_UNKNOWN`, or what stood in the way.
 */
export async function moveCron(site: Site, ports: Ports, { to, fenced, signal }: CronRequest): Promise<void> {
  namedNodes(site.nodes, [to]);
  const first = await observe(site, ports, signal);
  refuseLocked(first);
  const off = offNodes(site, first, { to, fenced });
  const reason = `move the cron to ${to} by hand${off.length > 0 ? `; ${list(off)} said to be off` : ''}`;
  await byHand(site, ports, { first, reason, force: fenced, flag: '--fenced', signal }, (run) =>
    move(run, { to, off }),
  );
}

/** Nodes of which only the operator's word is known. */
function offNodes(
  site: Site,
  observed: Observation,
  { to, fenced }: Omit<CronRequest, 'signal'>,
): readonly NodeName[] {
  const node = nodeState(observed, to);
  const isUnfit = !mayHaveCron(site, to) || isBesideTraffic(site, observed, to);
  if (isUnfit || node.unreachable !== null || liveRelease(node) === null)
    throw failure('CRON_UNFIT', { node: to, reason: whyNot(site, observed, to) });
  const unread = Object.values(observed.nodes).flatMap(({ name, unreachable }) =>
    unreachable === null ? [] : [name],
  );
  if (!fenced && cronHolders(observed).length === 0 && unread.length > 0)
    throw failure('CRON_UNKNOWN', { nodes: unread });
  return fenced ? unread : [];
}

function whyNot(site: Site, observed: Observation, to: NodeName): string {
  const { unreachable } = nodeState(observed, to);
  if (site.cron === null) return 'the settings have no cron';
  if (!mayHaveCron(site, to))
    return site.cron.node === null
      ? `it does not have the role ${site.cron.role}`
      : `cron.node says ${site.cron.node}`;
  if (isBesideTraffic(site, observed, to)) return 'its pool gets no traffic, and the cron goes with that';
  return unreachable ?? 'it has no live release that jobs could run in';
}

interface Move {
  readonly to: NodeName;
  readonly off: readonly NodeName[];
}

/** What stood in the way, or null. */
async function move(run: Run, { to, off }: Move): Promise<DeployError | null> {
  try {
    const from = cronHolders(run.observed).filter((name) => name !== to);
    const steps = [cron(from, to, off)];
    prove({ strategy: 'cron', observed: run.observed, servingMin: 0, steps });
    const stop = await executeSteps(steps, run);
    if (stop && stop.error.code !== 'LOCK_LOST') await putBack(run);
    return stop?.error ?? null;
  } catch (error) {
    return expected(run.signal, error);
  }
}

/** Whoever runs its jobs still, or had it, has it again: what could not be moved is not lost. */
async function putBack(run: Run): Promise<void> {
  const observed = await observe(run.site, run.ports);
  const part = { ...run.site, nodes: presentNodes(run) };
  const calm: Run = {
    ...run,
    signal: new AbortController().signal,
    observed: { ...run.observed, ...observed },
  };
  const steps: readonly Step[] = withCron({ site: part, observed, steps: [], goesBack: true });
  const again = await executeSteps(steps, calm);
  const owner = cronOwner(run.site, observed);
  if (again) run.warnings.push(`The cron is on no node (${owner} is to have it): ${again.error.message}`);
}
