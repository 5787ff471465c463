import type { DeployError } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import { nodeState, type Observation } from '../core/observation.ts';
import type { Release } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { finishRun, keepLock, takeLock } from './lock.ts';
import { assemble, observeFront } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
import { emit, newRun, newRunId, type Run } from './run.ts';

export interface ByHand {
  /** What was seen before the lock. */
  readonly first: Observation;
  /** For the lock and the history. */
  readonly reason: string;
  /** Although most of those that vote cannot be locked. */
  readonly force: boolean;
  /** By which that is said. */
  readonly flag: '--force' | '--fenced' | '--without-quorum';
  readonly signal: AbortSignal;
}

/**
 * Does work that a person named, under the lock of the nodes that can be reached, for an ill fleet is what it is there
 * for. `work` says what stood in the way, or null. Rejects with that, once the history has it and the lock is given
 * back; or with why the lock could not be taken.
 */
export async function byHand(
  site: Site,
  ports: Ports,
  { first, reason, force, flag, signal }: ByHand,
  work: (run: Run) => Promise<DeployError | null>,
): Promise<void> {
  const nodes = site.nodes.filter(({ name }) => nodeState(first, name).unreachable === null);
  if (nodes.length === 0) refuseUnfit(site, first);
  const id = newRunId(ports);
  const warn = (text: string): void => emit(ports, { type: 'note', level: 'warning', text });
  const { states, voters, minority } = await takeLock({
    site,
    ports,
    run: id,
    reason,
    intent: null,
    nodes,
    from: [],
    withoutQuorum: force,
    quorumFlag: flag,
    warn,
  });
  if (minority) warn(`The lock was held by ${minority} of those that vote, by the operator's word.`);
  const read = assemble(states, await observeFront(ports));
  const lost = new AbortController();
  const run = newRun({
    id,
    site,
    ports,
    voters,
    minority,
    skipped: site.nodes.filter((node) => !nodes.includes(node)).map(({ name }) => name),
    release: noRelease,
    signal: AbortSignal.any([signal, lost.signal]),
    observed: { ...read, nodes: { ...first.nodes, ...read.nodes } },
  });
  const keeping = keepLock(run, (error) => lost.abort(error));
  try {
    const error = await work(run);
    const remarks = minority ? [`without a quorum (${minority})`] : [];
    const end = error ? `: ${error.message}` : '';
    const text = [`${reason} by ${ports.operator.name}${end}`, ...remarks].join(', ');
    const historyLine = JSON.stringify({ at: isoTime(ports.clock.nowMs()), run: id, text });
    const warnings = [...run.warnings, ...(await finishRun(run, { logLine: null, historyLine }))];
    warnings.forEach(warn);
    if (error) throw error;
  } finally {
    await keeping.stop();
  }
}

/** Work by hand brings no release. */
const noRelease = { id: '', revision: '' } as unknown as Release;
