import type { Answers, ServerCounts } from '../core/counts.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import type { BalancerState, PoolParts, ServerState } from '../core/observation.ts';
import type { BalancerCapabilities } from '../ports.ts';

/** A load balancer: processes that must agree, each with its own view of the nodes. */
export interface SimulatedBalancer {
  readonly name: string;
  readonly capabilities: BalancerCapabilities;
  readonly members: readonly Member[];
}

/** One process of a balancer. */
export interface Member {
  readonly balancer: string;
  readonly name: string;
  /** How long an order waits until it is obeyed. */
  readonly lagMs: number;
  readonly checks: HealthChecks;
  readonly servers: ReadonlyMap<NodeName, Server>;
  /** The pool that it sends new requests to; null: there are no pools. */
  pool: PoolName | null;
  /** So many percent of them go to another pool; null: none. */
  share: { readonly to: PoolName; readonly percent: number } | null;
  /** Where its own files send them, if a flip is not written there. */
  readonly ownPool: PoolName | null;
  isUp: boolean;
  /** Until then it serves visitors, and no operator reaches it. */
  cutOffUntilMs: number;
  restarts: number;
  /** When its process last gave way to another; negative infinity: never. */
  replacedAtMs: number;
  /** What could be read at earlier moments, oldest first: a stale read shows one of these. */
  readonly past: { readonly atMs: number; readonly servers: readonly ServerState[] }[];
  /** No read shows what was before: whoever told it something sees that it took it. */
  toldAtMs: number;
}

/** A stale read is not older. */
export const staleMsMax = 1500;

export interface HealthChecks {
  readonly intervalMs: number;
  /** Good answers in a row that make a server `up`, bad ones that make it `down`. */
  readonly rise: number;
  readonly fall: number;
}

export interface Server {
  readonly id: string;
  readonly node: NodeName;
  readonly pool: PoolName | null;
  rotation: ServerState['rotation'];
  health: 'up' | 'down';
  /** Answers in a row that speak against `health`. */
  contrary: number;
  /** Requests in flight. */
  sessions: number;
  /** In percent. */
  weight: number;
  /** Since the member started. */
  answers: Answers;
  /** When the last request ended. */
  idleSinceMs: number;
  /** Since when it has its rotation, and which it had before. */
  sinceMs: number;
  was: ServerState['rotation'];
  /** When it was last taken out of `in`. */
  leftAtMs: number;
  /** It is in because the balancer forgot that it was out. */
  isForgotten: boolean;
  /** A person took it out. */
  isHeld: boolean;
}

export const noAnswers: Answers = { requests: 0, errors: 0, refused: 0, responseMs: null };

export const newServer = (member: string, node: NodeName, pool: PoolName | null = null): Server => ({
  id: `${member} web/${node}`,
  node,
  pool,
  rotation: 'in',
  health: 'up',
  contrary: 0,
  sessions: 0,
  weight: 100,
  answers: noAnswers,
  idleSinceMs: Number.NEGATIVE_INFINITY,
  sinceMs: Number.NEGATIVE_INFINITY,
  was: 'in',
  leftAtMs: Number.NEGATIVE_INFINITY,
  isForgotten: false,
  isHeld: false,
});

/** New requests of this member go to the server's pool. */
export const isAimedAt = ({ pool, share }: Member, server: Server): boolean =>
  server.pool === null || server.pool === pool || server.pool === share?.to;

/** New requests go there, once they go to its pool. */
export const takesRequests = (server: Server): boolean =>
  rotationOf(server) === 'in' && server.health === 'up';

/** It can be read and told. */
export const isReachable = ({ isUp, cutOffUntilMs }: Member, nowMs: number): boolean =>
  isUp && nowMs >= cutOffUntilMs;

/** A server without weight gets no requests, whatever it was told. */
export const rotationOf = ({ rotation, weight }: Server): ServerState['rotation'] =>
  rotation === 'in' && weight === 0 ? 'draining' : rotation;

/** What the member says of its servers now. One that is out is not checked. */
export const viewOf = (
  { balancer, name, servers }: Member,
  sessions: BalancerCapabilities['sessions'],
): readonly ServerState[] =>
  [...servers.values()].map((server) => ({
    balancer,
    member: name,
    node: server.node,
    server: server.id,
    rotation: rotationOf(server),
    health: server.rotation === 'out' ? 'unchecked' : server.health,
    sessions: sessions === 'none' ? null : server.sessions,
    weight: server.weight,
  }));

/** What is seen of one that only flips, an address between two machines: visitors of the pool that is live are counted by nobody. */
export const switchViewOf = (member: Member): readonly ServerState[] =>
  viewOf(member, 'exact').map((server) => ({
    ...server,
    health: 'unchecked',
    sessions: isAimedAt(member, member.servers.get(server.node)!) ? null : 0,
  }));

/** What the member has counted since it started. */
export const countsOf = ({ balancer, name, servers }: Member): readonly ServerCounts[] =>
  [...servers.values()].map(({ node, id, answers }) => ({
    balancer,
    member: name,
    node,
    server: id,
    answers,
  }));

export const stateOf = ({ balancer, name, isUp, restarts, pool, share }: Member): BalancerState => ({
  balancer,
  member: name,
  unreachable: isUp ? null : 'connection refused',
  incarnation: isUp ? String(restarts) : '',
  pool: isUp && share === null ? pool : null,
  ...(isUp && share !== null ? { parts: partsOf(pool, share) } : {}),
});

const partsOf = (pool: PoolName | null, { to, percent }: NonNullable<Member['share']>): PoolParts =>
  pool === null ? {} : { [pool]: 100 - percent, [to]: percent };

/** Counts a request that has ended. Times are averaged as by HAProxy. */
export function countRequest(server: Server, { isError, ms }: { isError: boolean; ms: number }): void {
  const { errors, refused, responseMs, requests: before } = server.answers;
  const requests = before + 1;
  const average = responseMs ?? ms;
  server.answers = {
    requests,
    errors: errors + (isError ? 1 : 0),
    refused,
    responseMs: average + (ms - average) / Math.min(requests, 1024),
  };
}

/** Counts one answer to a health check; true if that turned the server's health. */
export function countAnswer(server: Server, { rise, fall }: HealthChecks, isGood: boolean): boolean {
  if (isGood === (server.health === 'up')) {
    server.contrary = 0;
    return false;
  }
  server.contrary++;
  if (server.contrary < (isGood ? rise : fall)) return false;
  server.health = isGood ? 'up' : 'down';
  server.contrary = 0;
  return true;
}
