import { acquireLock, type Ending, releaseLock, renewLock } from '../commands/lock.ts';
import { type DeployError, failure, isDeployError, lockStaleMs, messageOf } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import type { RunIntent } from '../core/intent.ts';
import type { Node, NodeName } from '../core/node.ts';
import type { LockState, NodeState } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { fenceFor, onNode, type Run } from './run.ts';

export interface LockRequest {
  readonly site: Site;
  readonly ports: Ports;
  readonly run: string;
  readonly reason: string;
  /** Null for work by hand. */
  readonly intent: RunIntent | null;
  /** Of each node that a dead run holds, which run that is: its lock is taken over. */
  readonly from: Readonly<Record<NodeName, string>>;
  /** Told of a node that may keep the lock of a run that did not get them all. */
  readonly warn: (text: string) => void;
}

/**
 * Takes the lock on every node of the stage, and returns the nodes as they are under it. The first node is asked
 * alone: of two runs that start together exactly one gets it, and the other has nothing to give back. Throws
 * `LOCKED` or `NODE_BUSY`, with nothing held.
 */
export async function takeLock({
  site,
  ports,
  run,
  reason,
  intent,
  from,
  warn,
}: LockRequest): Promise<readonly NodeState[]> {
  const startedAt = isoTime(ports.clock.nowMs());
  const lock = { run, holder: ports.operator.name, host: ports.operator.host, reason, startedAt, intent };
  const take = async (node: Node): Promise<NodeState> => {
    const { acquired, busy, state } = await onNode(
      ports,
      node,
      acquireLock(node, site, lock, from[node.name] ?? null),
    );
    if (busy) throw failure('NODE_BUSY', { node: node.name, deployTo: site.deployTo });
    if (!acquired) throw lockedBy(node, state.lock);
    return state;
  };
  const [first, ...others] = site.nodes;
  if (!first) return [];
  const asked = [first];
  try {
    const state = await take(first);
    asked.push(...others);
    return [state, ...(await allOrFirstFailure(others.map(take)))];
  } catch (error) {
    await giveBack(asked, { site, ports, run, warn });
    throw error;
  }
}

/** All end before the first failure is thrown; that another run holds a lock says more than any other failure. */
async function allOrFirstFailure<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(work);
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (errors.length > 0) throw errors.find((error) => isDeployError(error, 'LOCKED')) ?? errors[0];
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

const lockedBy = (node: Node, lock: LockState | null): DeployError =>
  lock ? failure('LOCKED', { node: node.name, lock }) : failure('LOCK_RACE', { node: node.name });

/** Frees what this run holds and no other's; a node that cannot be reached now keeps a lock that goes stale. */
async function giveBack(
  nodes: readonly Node[],
  { site, ports, run, warn }: Pick<LockRequest, 'site' | 'ports' | 'run' | 'warn'>,
): Promise<void> {
  const fence = { deployTo: site.deployTo, run, marks: [], before: [], after: [] };
  const ending = { logLine: null, historyLine: null };
  const results = await Promise.allSettled(
    nodes.map((node) => onNode(ports, node, releaseLock(fence, ending))),
  );
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled' || isDeployError(result.reason, 'LOCK_LOST')) continue;
    warn(`${nodes[index]!.name} may have kept the lock of this run: ${messageOf(result.reason)}`);
  }
}

/** Writes the run's end on every node and frees them. Returns a warning for each node where that failed. */
export async function finishRun(run: Run, ending: Ending): Promise<readonly string[]> {
  const results = await Promise.allSettled(
    run.site.nodes.map((node) => onNode(run.ports, node, releaseLock(fenceFor(run, node.name), ending))),
  );
  return results.flatMap((result, index) => {
    // A lock that is another's by now need not be given back.
    if (result.status === 'fulfilled' || isDeployError(result.reason, 'LOCK_LOST')) return [];
    if (!isDeployError(result.reason)) throw result.reason;
    return [`the lock on ${run.site.nodes[index]!.name} was not given back: ${result.reason.message}`];
  });
}

/** Renews the lock until `stop`; `onLost` is told once if another run holds it. */
export function keepLock(run: Run, onLost: (error: DeployError) => void): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const beat = async (): Promise<void> => {
    for (;;) {
      await run.ports.clock.sleep(lockStaleMs / 3, stopped.signal);
      if (stopped.signal.aborted) return;
      const lost = await renewLocks(run);
      if (lost) return onLost(lost);
    }
  };
  const beating = beat();
  return {
    async stop() {
      stopped.abort();
      await beating;
    },
  };
}

/**
 * The loss of the lock, if a process that stood still for so long that it counted as dead finds it on any node. A node
 * that could not be reached when the lock was taken away still names this run: what it lets through proves nothing.
 */
export const lossAfterSleep = async (run: Run): Promise<DeployError | null> =>
  run.ports.clock.nowMs() - run.renewedAtMs > lockStaleMs ? renewLocks(run) : null;

/** Shows on every node that the run lives. Null, or the loss of the lock on any of them. */
export async function renewLocks(run: Run): Promise<DeployError | null> {
  const startMs = run.ports.clock.nowMs();
  const fence = { deployTo: run.site.deployTo, run: run.id, marks: [], before: [], after: [] };
  const results = await Promise.allSettled(
    run.site.nodes.map((node) => onNode(run.ports, node, renewLock(fence))),
  );
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const lost = errors.find((error): error is DeployError => isDeployError(error, 'LOCK_LOST')) ?? null;
  if (!lost) run.renewedAtMs = startMs;
  return lost;
}
