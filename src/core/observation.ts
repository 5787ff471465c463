import type { RunIntent } from './intent.ts';
import type { NodeName, PoolName } from './node.ts';
import type { ReleaseId, Revision } from './release.ts';
import type { AddressName, BalancerName } from './site.ts';

/** What was read of a site at one moment: from each node, and from each balancer. Plain data. */
export interface Observation {
  readonly nodes: Readonly<Record<NodeName, NodeState>>;
  readonly witnesses: readonly WitnessState[];
  readonly balancers: readonly BalancerState[];
  /** One entry for each server that a balancer has for a node: a node may have several, or none. */
  readonly servers: readonly ServerState[];
  readonly addresses: readonly AddressState[];
}

/** A machine that only votes on who holds the lock. */
export interface WitnessState {
  readonly name: string;
  /** Null if it answered. */
  readonly unreachable: string | null;
  readonly lock: LockState | null;
}

export interface NodeState {
  readonly name: NodeName;
  /** As the config has it; null: the site has no pools. */
  readonly pool: PoolName | null;
  /** Null if the node answered; else why it could not be read, and the fields below say nothing. */
  readonly unreachable: string | null;
  readonly current: Current;
  /** Sorted by id, oldest first. */
  readonly releases: readonly ReleaseState[];
  /** The release that the node answered its checks as, after its last change; null if not shown. */
  readonly proved: ReleaseId | null;
  /** Servers that a run of sluice took out of rotation and has not put back, by `ServerState.server`. */
  readonly drained: readonly string[];
  readonly lock: LockState | null;
  readonly once: readonly OnceMark[];
  readonly cron: CronState;
  /** Releases whose migration closed the way back to those before them. */
  readonly irreversible: readonly ReleaseId[];
  /** Null: it is off. */
  readonly maintenance: MaintenanceState | null;
  /** What stands in the way of a release here, each a sentence; empty if nothing does. */
  readonly problems: readonly string[];
}

export type Current =
  | { readonly kind: 'release'; readonly id: ReleaseId }
  | { readonly kind: 'absent' }
  /** A real file or directory stands where the link should be. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'elsewhere'; readonly target: string };

/** Visitors are turned away. */
export interface MaintenanceState {
  /** Who set it, and lifts it: a run of sluice, or an operator. */
  readonly by: 'run' | 'operator';
  /** ISO 8601, by the node's clock. */
  readonly since: string;
  /** What an operator's word is, such as `ada@desk: moving house`; '' if there is none. */
  readonly text: string;
}

export interface ReleaseState {
  readonly id: ReleaseId;
  readonly revision: Revision | null;
  /** Whole, with the digest that was sent. Releases of other tools count if their log says they were live. */
  readonly complete: boolean;
  /** It answered its checks on this node at some time. */
  readonly checked: boolean;
  /** It was live and failed its checks on this node, and never passed them since. */
  readonly failed: boolean;
  /** The backup that was made on this node before its migration, as a path or a name; null: none. */
  readonly backup: string | null;
}

export interface BackupPlace {
  readonly node: NodeName;
  /** A path on the node, or the name of a snapshot. */
  readonly name: string;
}

export interface LockState {
  /** The run that holds it: the fencing number that each changing command carries. */
  readonly run: string;
  readonly holder: string;
  readonly host: string;
  /** What the run does, such as `deploy main (3f2a9c1) as 20260114093000`. */
  readonly reason: string;
  /** ISO 8601, by the holder's clock. */
  readonly startedAt: string;
  /** Since the last heartbeat, both read from the node's clock. */
  readonly silentMs: number;
  /** Null for work by hand, which leaves nothing to go on with. */
  readonly intent: RunIntent | null;
  /** The run ended on purpose, and waits for a person; null: it is under way, or dead. */
  readonly held: Held | null;
}

export interface Held {
  /** ISO 8601, by the holder's clock. */
  readonly since: string;
  /** What it waits for, such as `hold first batch until it is promoted`. */
  readonly why: string;
  /** The hold that ends when it is promoted; null: it is held because it failed. */
  readonly hold: string | null;
}

/** What a node has of the site's cron. */
export interface CronState {
  /** `as set`: what the settings say stands in the crontab. `other`: something else of sluice does, or only a part. */
  readonly block: 'none' | 'as set' | 'other';
  /** The run that put it there; null: it was never put there as a whole. */
  readonly since: string | null;
  /** The command lines of the processes of its jobs. */
  readonly running: readonly string[];
}

export const noCron: CronState = { block: 'none', since: null, running: [] };

/** Work that is marked once, and left its mark on a node. */
export interface OnceMark {
  readonly release: ReleaseId;
  readonly hook: string;
  /** `begun` without being done: it was cut off, and nobody knows how it ended. */
  readonly state: 'begun' | 'done';
}

export interface BalancerState {
  readonly balancer: BalancerName;
  /** One process, where a balancer has several. */
  readonly member: string;
  readonly unreachable: string | null;
  /** Changes when the process was restarted or reloaded: run-time state may be lost. */
  readonly incarnation: string;
  /** The pool that it sends new requests to; null: it knows no pools, or none of this site, or could not be read. */
  readonly pool: PoolName | null;
  /** Where it sends them to several pools: how many percent to each; absent: to one, or it does not say. */
  readonly parts?: PoolParts;
  /** How long its checks fail, as they are set, until it sends a dead node nothing more; absent or null: it does not say. */
  readonly noticesDeadWithinMs?: number | null;
  /** What its own settings could do to a release, each the end of a sentence that begins with its name; absent: nothing that is known. */
  readonly weakSpots?: readonly string[];
}

/** By pool, in percent of the new requests. */
export type PoolParts = Readonly<Record<PoolName, number>>;

/** A floating address, and which of the machines among which it floats hold it. */
export interface AddressState {
  readonly address: AddressName;
  readonly ip: string;
  /** One; none while it moves, or where it is held cannot be seen; several where they lost sight of each other. */
  readonly holders: readonly string[];
  /** Machines that could not be asked, each with why. */
  readonly unasked: readonly { readonly machine: string; readonly reason: string }[];
}

export interface ServerState {
  readonly balancer: BalancerName;
  readonly member: string;
  readonly node: NodeName;
  /** Unique among all balancers, such as `lb1 web/web3`. */
  readonly server: string;
  /**
   * What the balancer was told. `draining`: no new requests but those of sticky sessions, which a weight of 0 comes
   * to as well; `out`: none at all.
   */
  readonly rotation: 'in' | 'draining' | 'out';
  /** What the balancer thinks of the node; `unchecked`: it makes no checks (or pauses them while out). */
  readonly health: 'up' | 'down' | 'starting' | 'unchecked';
  /** Requests in flight and queued; null: the balancer cannot tell, which is not 0. */
  readonly sessions: number | null;
  /** In percent of the weight in the balancer's configuration: 100 as configured, 0 gets no new requests. */
  readonly weight: number;
}

export const nodeState = (observed: Observation, node: NodeName): NodeState => {
  const state = observed.nodes[node];
  if (!state) throw new RangeError(`no node ${node} was observed`);
  return state;
};

/** Every lock that was read, with the machine that it stands on: a node, or a witness. */
export const locksIn = ({
  nodes,
  witnesses,
}: Observation): readonly { readonly node: NodeName; readonly lock: LockState }[] =>
  [...Object.values(nodes), ...witnesses].flatMap(({ name, lock }) => (lock ? [{ node: name, lock }] : []));

export const liveRelease = (state: NodeState): ReleaseId | null =>
  state.current.kind === 'release' ? state.current.id : null;

export const releaseOn = (state: NodeState, id: ReleaseId): ReleaseState | null =>
  state.releases.find((release) => release.id === id) ?? null;

export const hasComplete = (state: NodeState, id: ReleaseId): boolean =>
  releaseOn(state, id)?.complete ?? false;

export const serversOf = (observed: Observation, node: NodeName): readonly ServerState[] =>
  observed.servers.filter((server) => server.node === node);

const takesTraffic = (server: ServerState): boolean =>
  server.rotation === 'in' && (server.health === 'up' || server.health === 'unchecked');

/** It is in rotation, and whether it serves shows in a moment. */
export const isBeingChecked = ({ rotation, health }: ServerState): boolean =>
  rotation === 'in' && health === 'starting';

/** The balancer sends new requests to the server's pool. Of one that does not say which, nobody can rule it out. */
export const isAimedAt = (observed: Observation, { balancer, member, node }: ServerState): boolean => {
  const own = observed.nodes[node]?.pool ?? null;
  if (own === null) return true;
  const told = observed.balancers.find((one) => one.balancer === balancer && one.member === member)?.pool;
  return (told ?? own) === own;
};

/** The pool that all balancers send new requests to; null: there are no pools, or they differ, or one does not say. */
export function livePool({ balancers }: Observation): PoolName | null {
  const [pool = null, ...others] = new Set(balancers.map((balancer) => balancer.pool));
  return others.length === 0 ? pool : null;
}

/** What each pool gets where all balancers divide new requests alike; null: one pool gets all, or they differ, or one does not say. */
export function liveParts({ balancers }: Pick<Observation, 'balancers'>): PoolParts | null {
  const [first, ...others] = balancers.map(({ parts }) => parts);
  const isAlike = (parts: PoolParts | undefined): boolean =>
    parts !== undefined && isSameParts(first!, parts);
  return first !== undefined && others.every(isAlike) ? first : null;
}

const isSameParts = (one: PoolParts, other: PoolParts): boolean =>
  [...Object.keys(one), ...Object.keys(other)].every((pool) => one[pool] === other[pool]);

export const poolNodes = ({ nodes }: Observation, pool: PoolName): readonly NodeName[] =>
  Object.values(nodes).flatMap((node) => (node.pool === pool ? [node.name] : []));

/** Every balancer has the node in rotation and finds it healthy: it serves, or would once its pool gets the traffic. */
export const isReady = (observed: Observation, node: NodeName): boolean =>
  areReady(serversOf(observed, node));

const areReady = (servers: readonly ServerState[]): boolean =>
  servers.length > 0 && servers.every(takesTraffic);

/**
 * Every balancer sends the node traffic. A site without balancers cannot take a node out, so a node serves
 * there as long as it has a live release.
 */
export function isServing(observed: Observation, node: NodeName): boolean {
  const state = nodeState(observed, node);
  if (observed.balancers.length === 0) return state.unreachable === null && liveRelease(state) !== null;
  const servers = serversOf(observed, node);
  return areReady(servers) && servers.every((server) => isAimedAt(observed, server));
}

/**
 * A balancer may still send the node requests, or one is still in flight, as far as anyone can tell: of a balancer that
 * could not be read, nobody can.
 */
export const mayReceive = (observed: Observation, node: NodeName): boolean =>
  observed.balancers.some(({ unreachable }) => unreachable !== null) ||
  serversOf(observed, node).some(
    (server) => (server.rotation !== 'out' && isAimedAt(observed, server)) || (server.sessions ?? 0) > 0,
  );

/** An operator, not sluice, took the node out of rotation everywhere: it stays out. */
export const isHeldOut = (observed: Observation, node: NodeName): boolean => {
  const servers = serversOf(observed, node);
  const ours = nodeState(observed, node).drained;
  return (
    servers.length > 0 && servers.every(({ rotation, server }) => rotation !== 'in' && !ours.includes(server))
  );
};

/** The newest release after `release` whose migration closed the way back; null: the way is open. */
export const closedBy = (observed: Observation, release: ReleaseId): ReleaseId | null =>
  Object.values(observed.nodes)
    .flatMap(({ irreversible }) => irreversible)
    .filter((id) => id > release)
    .toSorted()
    .at(-1) ?? null;

/** Whether work that runs once, of this name, is done for the release. */
export const isDoneOnce = (observed: Observation, release: ReleaseId, hook: string): boolean =>
  Object.values(observed.nodes).some(({ once }) =>
    once.some((mark) => mark.release === release && mark.hook === hook && mark.state === 'done'),
  );

/** The backup that was made before the migration of a release; null: none, or it is gone with the release. */
export const backupOf = (observed: Observation, release: ReleaseId): BackupPlace | null =>
  Object.values(observed.nodes).flatMap((node) => {
    const name = releaseOn(node, release)?.backup ?? null;
    return name === null ? [] : [{ node: node.name, name }];
  })[0] ?? null;

export const servingNodes = (observed: Observation): readonly NodeName[] =>
  Object.keys(observed.nodes).filter((node) => isServing(observed, node));

/** Some balancer sends the node less than its configuration says. */
export const isLowered = (observed: Observation, node: NodeName): boolean =>
  serversOf(observed, node).some(({ weight }) => weight < 100);

/**
 * Nodes that serve with their whole weight. The floor counts these alone: whatever is not sent to a node of less weight
 * the others have to bear.
 */
export const bearingNodes = (observed: Observation): readonly NodeName[] =>
  servingNodes(observed).filter((node) => !isLowered(observed, node));

/** Within a point, as balancers count whole weights; what has no server has no weight either. */
export const hasWeight = ({ weight }: Pick<ServerState, 'weight'>, to: number): boolean =>
  Math.abs(weight - to) < 1;
