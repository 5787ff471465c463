import type { NodeName, PoolName } from '../core/node.ts';
import type { ServerState } from '../core/observation.ts';
import type { ReleaseId, Revision } from '../core/release.ts';
import type { BalancerName, Site } from '../core/site.ts';
import type { SimulatedAddress } from './address.ts';
import {
  countAnswer,
  countRequest,
  isAimedAt,
  type Member,
  type SimulatedBalancer,
  takesRequests,
  viewOf,
} from './balancer.ts';
import type { VirtualClock } from './clock.ts';
import type { Faults } from './faults.ts';
import { answering, type SimulatedNode } from './node.ts';
import type { SeededRandom } from './random.ts';
import { type Actor, isByHand, isRun, type Session } from './session.ts';
import { eventText, type Request, type WorldEvent } from './world-event.ts';

/** All that is so: what checkers look at, and what ports show a part of. */
export interface World {
  readonly site: Site;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly faults: Faults;
  readonly nodes: ReadonlyMap<NodeName, SimulatedNode>;
  /** Those that the list of nodes does not have yet: no run knows of them. */
  readonly unlisted: Set<NodeName>;
  readonly balancers: readonly SimulatedBalancer[];
  /** Of all balancers. */
  readonly members: readonly Member[];
  readonly addresses: readonly SimulatedAddress[];
  readonly repository: Repository;
  readonly requests: Set<Request>;
  readonly sessions: Session[];
  /** The most nodes that the strategy takes out at once. */
  readonly batchMax: number;
  readonly isTraced: boolean;
  /** One line for everything that happened, each with its time. */
  readonly trace: string[];
  /** Something that no run did last changed the site then. */
  disturbedAtMs: number;
  tell(event: WorldEvent): void;
  /** The application starts anew as `release`, whatever it was doing. */
  restart(node: SimulatedNode, change: Pick<Switch, 'by' | 'release' | 'sentAtMs'>): void;
}

type Switch = Extract<WorldEvent, { kind: 'switched' }>;

export interface Repository {
  /** What the branch is at. */
  head: Revision;
  /** Where each revision does not work: the nodes on which it fails its checks. */
  readonly brokenOn: Map<Revision, readonly NodeName[]>;
  /** Which part of its answers each revision fails, though it passes its checks. */
  readonly errsAt: Map<Revision, number>;
}

export type WorldParts = Omit<
  World,
  'members' | 'unlisted' | 'requests' | 'sessions' | 'trace' | 'disturbedAtMs' | 'tell' | 'restart'
>;

export function newWorld(parts: WorldParts, onEvent: (event: WorldEvent) => void): World {
  // Added to one literal, for then all worlds are alike to the engine of JavaScript, and what was made fast for one is so for the next.
  const world: World = Object.assign(
    {
      members: parts.balancers.flatMap(({ members }) => members),
      unlisted: new Set<NodeName>(),
      requests: new Set<Request>(),
      sessions: [] as Session[],
      trace: [] as string[],
      disturbedAtMs: 0,
      tell(event: WorldEvent): void {
        if (event.kind === 'fault') world.disturbedAtMs = world.clock.passedMs();
        if (event.kind === 'lock' && event.what === 'broken') world.faults.strike('broken lock');
        if (
          (event.kind === 'effect' ||
            event.kind === 'rotation' ||
            event.kind === 'weight' ||
            event.kind === 'flip') &&
          isRun(event.by)
        )
          event.by.effects++;
        if (world.isTraced)
          world.trace.push(`${String(world.clock.passedMs()).padStart(8)} ${eventText(event)}`);
        onEvent(event);
      },
      restart(node: SimulatedNode, change: Pick<Switch, 'by' | 'release' | 'sentAtMs'>): void {
        const { application } = node;
        const nowMs = world.clock.nowMs();
        const { staleCodeMs } = world.faults.mix;
        const old = application.release;
        application.stale =
          staleCodeMs > 0 && world.faults.healedAtMs === null && old !== null && old !== change.release
            ? { release: old, untilMs: nowMs + staleCodeMs }
            : null;
        application.release = change.release;
        application.readyAtMs = nowMs + node.startMs;
        if (application.stale) world.faults.strike('stale code');
        node.changedAtMs = world.clock.passedMs();
        world.tell({ kind: 'switched', node, ...change, cut: cutRequests(world, node) });
      },
    },
    parts,
  );
  return world;
}

/** Whatever runs on a node ends there and then. */
export function cutRequests(world: World, node: SimulatedNode): readonly Request[] {
  const cut = [...world.requests].filter(({ server }) => server.node === node.name);
  for (const request of cut) endRequest(world, request, { isCut: true });
  return cut;
}

/** It is answered, as well as the release that it met can, or cut off. */
export function endRequest(
  { clock, requests }: World,
  request: Request,
  { isCut }: { readonly isCut: boolean },
): void {
  if (!requests.delete(request)) return;
  const { server, startedAtMs, isFailing, leftBehindAtMs } = request;
  if (leftBehindAtMs !== null) return;
  server.sessions--;
  server.idleSinceMs = clock.passedMs();
  countRequest(server, { isError: isCut || isFailing, ms: clock.passedMs() - startedAtMs });
}

/** Every balancer would send the node requests, if its pool got them. */
export const isReady = (world: World, node: NodeName): boolean =>
  world.members.every(({ isUp, servers }) => isUp && takesRequests(servers.get(node)!));

export const membersOf = ({ members }: World, balancer: BalancerName): readonly Member[] =>
  members.filter((member) => member.balancer === balancer);

/** Visitors come to its balancer: all do that share no address. */
export const isInFront = ({ addresses }: World, { balancer }: Pick<Member, 'balancer'>): boolean => {
  if (addresses.length === 0) return true;
  const own = addresses.filter(({ balancers }) => balancers.includes(balancer));
  return own.length === 0 || own.some(({ holder }) => holder === balancer);
};

/** A run may go on without its balancer, as long as others get the visitors. */
export const mayBeAway = ({ site }: World, { balancer }: Pick<Member, 'balancer'>): boolean =>
  site.balancers.some(({ name, onUnreachable }) => name === balancer && onUnreachable === 'go on');

/** Those without whom nobody is served: not one that visitors do not come to, and that a run may go on without. */
export const membersThatCount = (world: World): readonly Member[] =>
  world.members.filter((member) => isInFront(world, member) || !mayBeAway(world, member));

/** Visitors come to another balancer from now on. */
export function moveAddress(world: World, address: SimulatedAddress, to: BalancerName): void {
  const from = address.holder;
  if (from === to) return;
  Object.assign(address, { holder: to, movedAtMs: world.clock.passedMs() });
  world.disturbedAtMs = world.clock.passedMs();
  world.tell({ kind: 'address', address, from });
}

/** The node's pool, of two, gets no requests of any balancer. */
export const isIdle = (world: World, node: NodeName): boolean =>
  world.members.length > 0 && world.members.every((member) => !isAimedAt(member, member.servers.get(node)!));

/** The site's nodes are two pools. */
export const isPooled = ({ members }: World): boolean => members.some(({ pool }) => pool !== null);

/** Every balancer sends the node requests. */
export const serves = (world: World, node: NodeName): boolean =>
  isReady(world, node) && world.members.every((member) => isAimedAt(member, member.servers.get(node)!));

/** When the run was last shown all members: of what came later it knows nothing. */
export const lastLookOf = ({ members }: World, { looks }: Session): number =>
  Math.min(...members.map(({ name }) => looks.get(name) ?? 0));

export const nodeOf = (world: World, name: NodeName): SimulatedNode => {
  const node = world.nodes.get(name);
  if (!node) throw new RangeError(`there is no node ${name}`);
  return node;
};

/** From now on the member sends requests there, or no longer does. */
export function rotate(
  world: World,
  member: Member,
  node: NodeName,
  to: ServerState['rotation'],
  by: Actor,
): void {
  const server = member.servers.get(node)!;
  const { capabilities } = balancerOf(world, member);
  if (capabilities.flipsOnly) return;
  // One that only drains softly has no other way out.
  const reached = to === 'out' && capabilities.drain === 'soft' ? 'draining' : to;
  if (server.rotation === reached) return;
  remember(world, member);
  const from = server.rotation;
  Object.assign(server, { rotation: reached, was: from });
  server.sinceMs = world.clock.passedMs();
  // What a balancer forgets does not give requests more time.
  if (from === 'in' && !server.isForgotten) server.leftAtMs = server.sinceMs;
  server.isForgotten = to === 'in' && by === 'fault';
  if (to === 'in' || isByHand(by)) server.isHeld = to !== 'in';
  // A server that was out was not checked: it is taken to be well until its checks say otherwise.
  if (from === 'out') server.health = 'up';
  server.contrary = 0;
  if (!isRun(by)) world.disturbedAtMs = world.clock.passedMs();
  world.tell({ kind: 'rotation', member, server, from, by });
}

/** From now on the member sends more or fewer requests there. */
export function weigh(world: World, member: Member, node: NodeName, percent: number, by: Actor): void {
  const server = member.servers.get(node)!;
  if (server.weight === percent) return;
  remember(world, member);
  server.weight = percent;
  world.tell({ kind: 'weight', member, server, by });
}

/** From now on the member sends new requests to this pool. */
export function flipMember(world: World, member: Member, to: PoolName, by: Actor): void {
  const from = member.pool;
  if (from === null || (from === to && member.share === null)) return;
  member.pool = to;
  member.share = null;
  if (!isRun(by)) world.disturbedAtMs = world.clock.passedMs();
  world.tell({ kind: 'flip', member, from, by });
}

/** From now on the member sends a part of its new requests to this pool, and the others to the other one. */
export function shareMember(
  world: World,
  member: Member,
  { to, percent }: NonNullable<Member['share']>,
  by: Actor,
): void {
  const other = [...member.servers.values()].find(({ pool }) => pool !== to)?.pool;
  if (member.pool === null || !other) return;
  member.pool = other;
  member.share = { to, percent };
  world.tell({ kind: 'share', member, to, by });
}

export const balancerOf = ({ balancers }: World, { balancer }: Member): SimulatedBalancer =>
  balancers.find(({ name }) => name === balancer)!;

const pastKept = 12;

/** What could be read until now may be read a while longer. */
export function remember(world: World, member: Member): void {
  const { capabilities } = balancerOf(world, member);
  member.past.push({
    atMs: world.clock.passedMs(),
    servers: viewOf(member, capabilities.sessions),
  });
  if (member.past.length > pastKept) member.past.shift();
}

/** The member's checks are to find the node well before it sends requests there. */
export function mistrust(world: World, member: Member, node: NodeName): void {
  if (!balancerOf(world, member).capabilities.flipsOnly) member.servers.get(node)!.health = 'down';
}

/** One round of a member's own checks; an address makes none. */
export function checkHealth(world: World, member: Member): void {
  if (balancerOf(world, member).capabilities.flipsOnly) return;
  const nowMs = world.clock.nowMs();
  for (const server of member.servers.values()) {
    if (server.rotation === 'out') continue;
    const node = nodeOf(world, server.node);
    const release = answering(node, nowMs);
    const isGood =
      release !== null && !isBroken(world, node, release) && world.clock.passedMs() >= node.flapsUntilMs;
    if (!countAnswer(server, member.checks, isGood)) continue;
    world.disturbedAtMs = world.clock.passedMs();
    world.tell({ kind: 'health', member, server });
  }
}

/** The release fails its checks on this node. */
export function isBroken({ repository }: World, { name, disk }: SimulatedNode, release: ReleaseId): boolean {
  const revision = disk.releases.get(release)?.revision;
  return revision !== undefined && (repository.brokenOn.get(revision)?.includes(name) ?? false);
}

/** Which part of its answers the release fails, though it passes its checks. */
export function errorRate({ repository }: World, { disk }: SimulatedNode, release: ReleaseId): number {
  const revision = disk.releases.get(release)?.revision;
  return revision === undefined ? 0 : (repository.errsAt.get(revision) ?? 0);
}

/** The release that each node has, or null. */
export const currentOf = ({ nodes }: World): ReadonlyMap<NodeName, ReleaseId | null> =>
  new Map([...nodes.values()].map(({ name, disk }) => [name, disk.current]));
