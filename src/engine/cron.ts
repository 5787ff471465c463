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
 * the lock of the nodes that can be reached. Rejects with `CRON_UNFIT`, `CRON_UNKNOWN`, `CRON_NOT_FENCED`, or what stood
 * in the way.
 */
export async function moveCron(site: Site, ports: Ports, { to, fenced, signal }: CronRequest): Promise<void> {
  namedNodes(site.nodes, [to]);
  const first = await observe(site, ports, signal);
  refuseLocked(first);
  refuseUnfit(site, first, to);
  const unread = Object.values(first.nodes).flatMap(({ name, unreachable }) =>
    unreachable === null ? [] : [name],
  );
  const mayBeElsewhere = cronHolders(first).length === 0;
  if (!fenced && mayBeElsewhere) await showOff(site, ports, unread, signal);
  const off = fenced || mayBeElsewhere ? unread : [];
  const how = fenced ? 'said to be off' : 'shown to be off by cron.fence';
  const reason = `move the cron to ${to} by hand${off.length > 0 ? `; ${list(off)} ${how}` : ''}`;
  const force = fenced || off.length > 0;
  await byHand(site, ports, { first, reason, force, flag: '--fenced', signal }, (run) =>
    move(run, { to, off }),
  );
}

function refuseUnfit(site: Site, observed: Observation, to: NodeName): void {
  const node = nodeState(observed, to);
  const isUnfit = !mayHaveCron(site, to) || isBesideTraffic(site, observed, to);
  if (isUnfit || node.unreachable !== null || liveRelease(node) === null)
    throw failure('CRON_UNFIT', { node: to, reason: whyNot(site, observed, to) });
}

/** Asks whoever can know, one after the other: nothing is touched unless each of the nodes is shown to be off. */
async function showOff(
  { cron: settings }: Site,
  { operator }: Ports,
  nodes: readonly NodeName[],
  signal: AbortSignal,
): Promise<void> {
  if (nodes.length === 0) return;
  if (!settings?.fence) throw failure('CRON_UNKNOWN', { nodes });
  const { command, env, timeoutMs } = settings.fence;
  for (const node of nodes) {
    const named = typeof command === 'string' ? ['sh', '-c', command, 'sh', node] : [...command, node];
    const { status, stdout, stderr } = await operator
      .run(named, { env, timeoutMs, signal })
      .catch((error) => {
        const { message } = expected(signal, error);
        throw failure('CRON_NOT_FENCED', { node, reason: message }, error);
      });
    const output = `${stdout}${stderr}`.trim();
    if (status !== 0)
      throw failure('CRON_NOT_FENCED', {
        node,
        reason: `cron.fence ended with status ${status}${output === '' ? '.' : `: ${output}`}`,
      });
  }
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
