import type { Fence, Mark } from '../commands/fenced.ts';
import { fencedStatus } from '../commands/fenced.ts';
import { AssertionError, assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';
import type { Answered, Counted } from '../core/counts.ts';
import { type DeployError, failure, isDeployError, messageOf } from '../core/errors.ts';
import type { EventBody, FailureText } from '../core/event.ts';
import { compactTime } from '../core/instant.ts';
import type { Node, NodeName } from '../core/node.ts';
import type { BalancerState, Observation, ServerState } from '../core/observation.ts';
import type { Release } from '../core/release.ts';
import type { AddressName, BalancerName, Site } from '../core/site.ts';
import type { Step, StepOf } from '../core/step.ts';
import type { Balancer, BalancerCapabilities, Built, Host, Ports, RunOptions } from '../ports.ts';

/** One run under way: what its steps share. The maps and `artifact` change while it goes on. */
export interface Run {
  /** The lock's number: no command changes a node whose lock names another run. */
  readonly id: string;
  readonly site: Site;
  readonly ports: Ports;
  /** The machines whose lock this run holds: nodes, and witnesses. */
  readonly voters: readonly Node[];
  /** Nodes that could not be reached from the beginning: the run does not touch them. */
  readonly skipped: readonly NodeName[];
  /** `1 of 2` if no majority of those that vote holds its lock, by the operator's word; else null. */
  readonly minority: string | null;
  /** The release that the run brings live. */
  readonly release: Release;
  /** Aborted by a signal of the operator (`SIGINT`, `SIGTERM`) or by the loss of the lock (a `DeployError`). */
  readonly signal: AbortSignal;
  /** The last whole observation. */
  observed: Observation;
  artifact: Built | null;
  /** What went wrong, for hooks at the point `failed`. */
  failureText: string | null;
  readonly warnings: string[];
  /** Servers that this run has out of rotation, for each node. */
  readonly drained: Map<NodeName, readonly string[]>;
  /**
   * Nodes that failed, and without which the run goes on; whether they were brought back to what they had. `gone`: the list of nodes
   * does not have it any more, and it cannot be reached.
   */
  readonly leftOut: Map<NodeName, 'as it failed' | 'brought back' | 'did not come back' | 'gone'>;
  /** What balancers had counted when the run began, if it is to flip; null: nobody counted. */
  counted: Counted | null;
  /** What the pool that had the traffic answered from then until the flip; null: there was no flip in this run. */
  answeredBefore: Answered | null;
  /** The hold that a person said is over. */
  readonly promotes: string | null;
  /** When the lock was last seen to be held on every node that answered. */
  renewedAtMs: number;
  /** When each node was last seen to be held by this run, by a command that began then. */
  readonly heldAtMs: Map<NodeName, number>;
  /** The process of each member of a balancer, as it was seen last. */
  readonly processes: Process[];
  /** What this run set beside rotation: weights below the configured ones, in percent, and where the traffic goes. */
  readonly weights: Map<NodeName, number>;
  flipped: Pick<StepOf<'flip'>, 'to' | 'share'> | null;
  /** Of each member of a balancer, by `memberKey`, the incarnation that was told that. */
  readonly knowing: Map<string, string>;
  /** Balancers that it goes on without. */
  readonly absences: Absences;
  /** Who was seen to hold each floating address at the last look. */
  readonly holders: Map<AddressName, readonly string[]>;
  /** Nodes whose time is over: requests there that nobody can count are no longer waited for, or no requests at all. */
  readonly forced: Map<NodeName, 'uncounted' | 'all'>;
  /** When a balancer was last told again that a node is out which it had sent requests meanwhile. */
  readonly strayedAtMs: Map<NodeName, number>;
  /** When a node left rotation, and how long it was out in all. */
  readonly rotation: Map<NodeName, { readonly leftAtMs: number | null; readonly outMs: number }>;
  /** What waits for the next command on a node to be written down there. */
  readonly unwritten: Map<NodeName, { readonly lines: readonly string[]; readonly marks: readonly Mark[] }>;
}

export const newRun = ({
  id,
  site,
  ports,
  voters,
  release,
  signal,
  observed,
  promotes = null,
  skipped = [],
  minority = null,
  processes = processesOf(observed),
  absences = new Map(),
}: Pick<Run, 'id' | 'site' | 'ports' | 'voters' | 'release' | 'signal' | 'observed'> &
  Partial<Pick<Run, 'promotes' | 'skipped' | 'minority' | 'processes' | 'absences'>>): Run => ({
  id,
  site,
  ports,
  voters,
  skipped,
  minority,
  release,
  signal,
  promotes,
  processes,
  absences,
  observed: withoutLocks(observed),
  artifact: null,
  failureText: null,
  counted: null,
  answeredBefore: null,
  warnings: [],
  drained: new Map(Object.values(observed.nodes).map(({ name, drained }) => [name, drained])),
  renewedAtMs: ports.clock.nowMs(),
  heldAtMs: new Map(),
  leftOut: new Map(),
  weights: new Map(),
  flipped: null,
  knowing: new Map(),
  holders: new Map(observed.addresses.map(({ address, holders }) => [address, holders])),
  forced: new Map(),
  strayedAtMs: new Map(),
  rotation: new Map(),
  unwritten: new Map(),
});

/** A process of a balancer, and when this run first saw that it had taken the place of another; null: it did not. */
export interface Process extends Pick<BalancerState, 'balancer' | 'member' | 'incarnation'> {
  readonly replacedAtMs: number | null;
}

/**
 * A balancer that a run goes on without: a member could not be reached, its `onUnreachable` allows it, and every address
 * that it could hold was seen at a balancer that can be reached. It is asked again now and then, and counts anew once it was
 * told what it missed.
 */
export interface Absence {
  /** As the site has it: what the run works with shows nothing of it. */
  readonly balancer: Balancer;
  readonly why: string;
  readonly sinceMs: number;
  /** Its servers, when it was last seen. */
  readonly seen: readonly ServerState[];
  /** It answered again. */
  isBack: boolean;
  /** The question under way. */
  probe: Promise<void> | null;
}

export type Absences = Map<BalancerName, Absence>;

export const processesOf = ({ balancers }: Observation): Process[] =>
  balancers
    .filter(({ unreachable }) => unreachable === null)
    .map(({ balancer, member, incarnation }) => ({ balancer, member, incarnation, replacedAtMs: null }));

/** The balancers that hold an address, as was seen last. */
export const activeBalancers = ({ holders }: Run): readonly BalancerName[] => [...holders.values()].flat();

export const capabilitiesOf = ({ balancers }: Ports, name: BalancerName): BalancerCapabilities => {
  const balancer = balancers.find((candidate) => candidate.name === name);
  assert(balancer, `what is observed is of a balancer of the site, and ${name} is one`);
  return balancer.capabilities;
};

/** The nodes of the site that the run can work with. */
export const presentNodes = ({ site, skipped }: Pick<Run, 'site' | 'skipped'>): readonly Node[] =>
  site.nodes.filter(({ name }) => !skipped.includes(name));

export const goneNodes = ({ leftOut }: Pick<Run, 'leftOut'>): readonly NodeName[] =>
  [...leftOut].flatMap(([node, state]) => (state === 'gone' ? [node] : []));

/** Its time comes first, so that names of runs sort as the runs do. */
export const newRunId = ({ clock, random }: Ports): string =>
  `${compactTime(clock.nowMs())}-${random.hex(4)}`;

/** As a run sees the site: the lock that every node has is its own. */
export const withoutLocks = (observed: Observation): Observation => ({
  ...observed,
  nodes: Object.fromEntries(
    Object.entries(observed.nodes).map(([name, node]) => [name, { ...node, lock: null }]),
  ),
});

/** A node that failed in a step; `node` is null where the step failed as a whole. */
export interface NodeFailure {
  readonly node: NodeName | null;
  readonly error: DeployError;
}

export const emit = (ports: Pick<Ports, 'clock' | 'emit'>, event: EventBody): void =>
  ports.emit({ atMs: ports.clock.nowMs(), ...event });

export const textOf = (error: DeployError): FailureText => ({
  code: error.code,
  message: error.message,
  hint: error.hint,
});

export function nodeOf(site: Site, name: NodeName): Node {
  const node = site.nodes.find((candidate) => candidate.name === name);
  assert(node, `steps name nodes of the site, and ${name} is one`);
  return node;
}

/** Does `work` on each node of a step at the same time, waits for all, and says which failed and which are done. */
export const eachNode = (
  run: Run,
  step: Step,
  work: (node: Node) => Promise<string | null>,
): Promise<readonly NodeFailure[]> =>
  onEach(run, step, async (node) => {
    const detail = await work(node);
    emit(run.ports, { type: 'node-done', node: node.name, step, detail });
  });

/** The same for a part of a step: which are done is not said. */
export async function onEach(
  run: Run,
  step: Step,
  work: (node: Node) => Promise<void>,
): Promise<readonly NodeFailure[]> {
  const results = await Promise.allSettled(step.nodes.map((name) => work(nodeOf(run.site, name))));
  return results.flatMap((result, index) =>
    result.status === 'fulfilled' ? [] : [nodeFailed(run, step, step.nodes[index]!, result.reason)],
  );
}

function nodeFailed(run: Run, step: Step, node: NodeName, thrown: unknown): NodeFailure {
  const error = expected(run.signal, thrown);
  emit(run.ports, { type: 'node-failed', node, step, failure: textOf(error) });
  return { node, error };
}

/** The failure of a step as a whole. */
export const stepFailed = (run: Run, thrown: unknown): readonly NodeFailure[] => [
  { node: null, error: expected(run.signal, thrown) },
];

/** The expected failure in what was thrown: whatever an abort throws is an interruption. A bug goes up as it is. */
export function expected(signal: AbortSignal, thrown: unknown): DeployError {
  if (isDeployError(thrown)) return thrown;
  if (signal.aborted && !(thrown instanceof AssertionError)) return interruption(signal);
  throw thrown;
}

/** A journal line: what begins or is done, of which step. */
export const journalLine = (run: Run, step: Step, state: 'begin' | 'done'): string =>
  JSON.stringify({ at: run.ports.clock.nowMs(), state, kind: step.kind, nodes: step.nodes });

/** The fence for the next command on `node`, with everything that waits to be written there. */
export function fenceFor(
  run: Run,
  node: NodeName,
  lines: Partial<Pick<Fence, 'before' | 'after'>> = {},
): Fence {
  const waiting = run.unwritten.get(node);
  run.unwritten.delete(node);
  return {
    deployTo: run.site.deployTo,
    run: run.id,
    marks: waiting?.marks ?? [],
    before: [...(waiting?.lines ?? []), ...(lines.before ?? [])],
    after: lines.after ?? [],
  };
}

/** Writes a line, and what checks showed, with the next command on the node: it costs no round trip of its own. */
export function writeLater(run: Run, node: NodeName, line: string | null, marks: readonly Mark[] = []): void {
  const waiting = run.unwritten.get(node);
  run.unwritten.set(node, {
    lines: [...(waiting?.lines ?? []), ...(line === null ? [] : [line])],
    marks: [...(waiting?.marks ?? []), ...marks],
  });
}

/** What a step writes before and after its work on a node. */
export const around = (run: Run, step: Step): Pick<Fence, 'before' | 'after'> => ({
  before: [journalLine(run, step, 'begin')],
  after: [journalLine(run, step, 'done')],
});

/**
 * Runs a command on a node and reads its answer. Every command may run twice without harm, so one whose outcome
 * is unknown (the connection was lost) is run again, a few times. Throws `LOCK_LOST` if the node's lock is another
 * run's, `COMMAND_FAILED` for any other status but 0.
 */
export async function onNode<R>(
  ports: Ports,
  node: Host,
  command: NodeCommand<R>,
  options: RunOptions & { readonly attemptsMax?: number } = {},
): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { status, stdout, stderr } = await ports.transport.run(node, command, options);
      if (status === fencedStatus && /^fenced$/m.test(stderr)) throw lockLost(node, command);
      if (status !== 0) throw commandFailed(node, command, status, stderr.trim() === '' ? stdout : stderr);
      return command.parse(stdout);
    } catch (error) {
      if (options.signal?.aborted) throw interruption(options.signal);
      const lost = isDeployError(error, 'OUTCOME_UNKNOWN');
      if (!lost || attempt >= (options.attemptsMax ?? attemptsMax)) throw error;
      await ports.clock.sleep(retryAfterMs * attempt, options.signal);
    }
  }
}

/** Runs a command that bears the run's fence, and remembers that it was let through. */
export async function onHeld<R>(
  run: Run,
  node: Node,
  command: NodeCommand<R>,
  options: Parameters<typeof onNode>[3] = {},
): Promise<R> {
  const startMs = run.ports.clock.nowMs();
  const result = await onNode(run.ports, node, command, options);
  run.heldAtMs.set(node.name, startMs);
  return result;
}

/** Of a command whose replies are lost. */
export const attemptsMax = 3;
const retryAfterMs = 500;

const lockLost = (node: Host, command: NodeCommand): DeployError =>
  failure('LOCK_LOST', { node: node.name, run: String(command.params.run) });

const commandFailed = (node: Host, command: NodeCommand, status: number, output: string): DeployError =>
  failure('COMMAND_FAILED', { node: node.name, command: command.summary, status, output });

/** The expected failure in anything thrown by an aborted wait. */
export function interruption(signal: AbortSignal): DeployError {
  return isDeployError(signal.reason)
    ? signal.reason
    : failure('INTERRUPTED', { signal: messageOf(signal.reason) });
}

/** The one failure, or all of them together; that the lock is lost says more than any other. */
export function together(failures: readonly NodeFailure[]): DeployError {
  assert(failures.length > 0, 'something failed');
  const lost = failures.find(({ error }) => error.code === 'LOCK_LOST');
  if (lost || failures.length === 1) return (lost ?? failures[0]!).error;
  return failure('NODES_FAILED', {
    failures: failures.map(({ node, error }) => ({ node: node ?? 'the fleet', message: error.message })),
  });
}
