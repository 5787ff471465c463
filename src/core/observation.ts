import type { RunIntent } from './intent.ts';
import type { NodeName, PoolName } from './node.ts';
import type { ReleaseId, Revision } from './release.ts';
import type { BalancerName } from './site.ts';

/** What was read of a site at one moment: from each node, and from each balancer. Plain data. */
export interface Observation {
  readonly nodes: Readonly<Record<NodeName, NodeState>>;
  readonly balancers: readonly BalancerState[];
  /** One entry for each server that a balancer has for a node: a node may have several, or none. */
  readonly servers: readonly ServerState[];
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
  /** What stands in the way of a release here, each a sentence; empty if nothing does. */
  readonly problems: readonly string[];
}

export type Current =
  | { readonly kind: 'release'; readonly id: ReleaseId }
  | { readonly kind: 'absent' }
  /** A real file or directory stands where the link should be. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'elsewhere'; readonly target: string };

export interface ReleaseState {
  readonly id: ReleaseId;
  readonly revision: Revision | null;
  /** Whole, with the digest that was sent. Releases of other tools count if their log says they were live. */
  readonly complete: boolean;
  /** It answered its checks on this node at some time. */
  readonly checked: boolean;
  /** It was live and failed its checks on this node, and never passed them since. */
  readonly failed: boolean;
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

/** The balancer sends new requests to the server's pool. Of one that does not say which, nobody can rule it out. */
export const isAimedAt = (observed: Observation, { balancer, member, node }: ServerState): boolean => {
  const own = observed.nodes[node]?.pool ?? null;
  const told = observed.balancers.find((one) => one.balancer === balancer && one.member === member)?.pool;
  return own === null || (told ?? own) === own;
};

/** The pool that all balancers send new requests to; null: there are no pools, or they differ, or one does not say. */
export function livePool({ balancers }: Observation): PoolName | null {
  const [pool = null, ...others] = new Set(balancers.map((balancer) => balancer.pool));
  return others.length === 0 ? pool : null;
}

export const poolNodes = ({ nodes }: Observation, pool: PoolName): readonly NodeName[] =>
  Object.values(nodes).flatMap((node) => (node.pool === pool ? [node.name] : []));

/** Every balancer has the node in rotation and finds it healthy: it serves, or would once its pool gets the traffic. */
export const isReady = (observed: Observation, node: NodeName): boolean => {
  const servers = serversOf(observed, node);
  return servers.length > 0 && servers.every(takesTraffic);
};

/**
 * Every balancer sends the node traffic. A site without balancers cannot take a node out, so a node serves
 * there as long as it has a live release.
 */
export function isServing(observed: Observation, node: NodeName): boolean {
  const state = nodeState(observed, node);
  const servers = serversOf(observed, node);
  if (observed.balancers.length === 0) return state.unreachable === null && liveRelease(state) !== null;
  return isReady(observed, node) && servers.every((server) => isAimedAt(observed, server));
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

export const servingNodes = (observed: Observation): readonly NodeName[] =>
  Object.keys(observed.nodes).filter((node) => isServing(observed, node));
