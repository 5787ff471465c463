import { holdLock } from '../commands/hold.ts';
import { acquireLock, type Ending, releaseLock, renewLock } from '../commands/lock.ts';
import { assert } from '../core/assert.ts';
import { type DeployError, failure, isDeployError, lockStaleMs, messageOf } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import type { RunIntent } from '../core/intent.ts';
import type { Node } from '../core/node.ts';
import type { Held, LockState, NodeState } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { fenceFor, onNode, type Run } from './run.ts';
import { witnessesOf } from './witnesses.ts';

export interface LockRequest {
  readonly site: Site;
  readonly ports: Ports;
  readonly run: string;
  readonly reason: string;
  /** Null for work by hand. */
  readonly intent: RunIntent | null;
  /** The nodes that the run works with: all but those that cannot be reached. */
  readonly nodes: readonly Node[];
  /** Dead runs whose locks are taken over. */
  readonly from: readonly string[];
  /** The operator's word that no other run is under way. */
  readonly withoutQuorum: boolean;
  /** The flag by which it is given. */
  readonly quorumFlag: '--without-quorum' | '--force' | '--fenced';
  /** Told of a machine that may keep the lock of a run that did not get it, or that did not vote. */
  readonly warn: (text: string) => void;
}

export interface Locked {
  /** The nodes as they are under the lock. */
  readonly states: readonly NodeState[];
  /** All that hold the lock: the nodes, and witnesses that could be reached. */
  readonly voters: readonly Node[];
  /** `2 of 5` if that is no majority; else null. */
  readonly minority: string | null;
}

/**
 * Takes the lock on all nodes of the run and on the witnesses. It is held if every node of the stage has it, or more
 * than half of all that vote: two runs cannot both hold it. The first node is asked alone: of two runs that start
 * together exactly one gets it, and the other has nothing to give back. Throws `LOCKED`, `NODE_BUSY` or `NO_QUORUM`,
 * with nothing held.
 */
export async function takeLock(request: LockRequest): Promise<Locked> {
  const { ports, nodes } = request;
  const witnesses = witnessesOf(request.site, ports);
  const [first, ...others] = nodes;
  assert(first, 'a run has nodes to work with');
  const asked: Node[] = [first];
  try {
    const state = await take(request, first);
    asked.push(...others, ...witnesses);
    const answers = await allOrFirstFailure([
      ...others.map((node) => take(request, node)),
      ...witnesses.map((witness) => ask(request, witness)),
    ]);
    const voters = [...nodes, ...witnesses.filter((_, index) => answers[others.length + index] !== null)];
    const states = answers.slice(0, others.length).filter((answer) => answer !== null);
    return { states: [state, ...states], voters, minority: minorityOf(request, voters) };
  } catch (error) {
    await giveBack(asked, request);
    throw error;
  }
}

async function take({ site, ports, run, reason, intent, from }: LockRequest, node: Node): Promise<NodeState> {
  const startedAt = isoTime(ports.clock.nowMs());
  const lock = { run, holder: ports.operator.name, host: ports.operator.host, reason, startedAt, intent };
  const { acquired, busy, state } = await onNode(ports, node, acquireLock(node, site, lock, from));
  if (busy) throw failure('NODE_BUSY', { node: node.name, deployTo: site.deployTo });
  if (!acquired) throw lockedBy(node, state.lock);
  return state;
}

/** Null: it does not vote, for it is ill. One that has the lock of another speaks for that. */
async function ask(request: LockRequest, witness: Node): Promise<NodeState | null> {
  try {
    return await take(request, witness);
  } catch (error) {
    if (!isDeployError(error)) throw error;
    if (['LOCKED', 'LOCK_RACE', 'NODE_BUSY'].includes(error.code)) throw error;
    if (request.site.witnesses.includes(witness))
      request.warn(`witness ${witness.name} did not vote: ${error.message}`);
    return null;
  }
}

/** Throws `NO_QUORUM`, unless the operator said that it need not be. */
function minorityOf(
  { site, ports, nodes, withoutQuorum, quorumFlag: flag }: LockRequest,
  voters: readonly Node[],
): string | null {
  const all = [...site.nodes, ...witnessesOf(site, ports)];
  if (nodes.length === site.nodes.length || voters.length * 2 > all.length) return null;
  if (withoutQuorum) return `${voters.length} of ${all.length}`;
  const missing = all.map(({ name }) => name).filter((name) => !voters.some((voter) => voter.name === name));
  throw failure('NO_QUORUM', { held: voters.length, voters: all.length, missing, flag });
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
    run.voters.map((node) => onNode(run.ports, node, releaseLock(fenceFor(run, node.name), ending))),
  );
  return results.flatMap((result, index) => {
    // A lock that is another's by now need not be given back, nor that of a machine that is gone.
    const isGone = run.leftOut.get(run.voters[index]!.name) === 'gone';
    if (result.status === 'fulfilled' || isGone || isDeployError(result.reason, 'LOCK_LOST')) return [];
    if (!isDeployError(result.reason)) throw result.reason;
    return [`the lock on ${run.voters[index]!.name} was not given back: ${result.reason.message}`];
  });
}

/** Keeps the lock for a person, and writes down why. Returns a warning for each node where that failed. */
export async function holdRun(run: Run, held: Held, historyLine: string): Promise<readonly string[]> {
  const results = await Promise.allSettled(
    run.voters.map((node) => onNode(run.ports, node, holdLock(fenceFor(run, node.name), held, historyLine))),
  );
  return results.flatMap((result, index) => {
    if (result.status === 'fulfilled') return [];
    if (!isDeployError(result.reason)) throw result.reason;
    return [`${run.voters[index]!.name} does not know that the run is held: ${result.reason.message}`];
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
      stopped.abort('the run is over');
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
    run.voters.map((node) => onNode(run.ports, node, renewLock(fence))),
  );
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const lost = errors.find((error): error is DeployError => isDeployError(error, 'LOCK_LOST')) ?? null;
  if (!lost) run.renewedAtMs = startMs;
  return lost;
}
