import type { ServerState } from '../../core/observation.ts';
import { isAimedAt, type Member, type Server } from '../balancer.ts';
import type { Session } from '../session.ts';
import { balancerOf, mayBeAway, type World } from '../world.ts';
import type { Request, WorldEvent } from '../world-event.ts';
import type { Checker } from './checker.ts';
import { lookHoldsMs } from './floor.ts';

type Switched = Extract<WorldEvent, { kind: 'switched' }>;

/**
 * No node changes while a balancer may still send it requests, or while one is in flight that has time left. What
 * others turned back on after the run last looked, a moment before it changed the node, it could not know.
 */
export const noSpilledRequest: Checker = {
  name: 'no-spilled-request',
  watch: (world) => (event) => {
    if (event.kind !== 'switched') return null;
    const { node, by } = event;
    for (const member of world.members) {
      const server = member.servers.get(node.name)!;
      if (
        !member.isUp ||
        isLookedPast(world, event, member) ||
        !isAimedAt(member, server) ||
        server.rotation === leftOf(world, member)
      )
        continue;
      if (isUnseen(event, member, server)) continue;
      return `${by.name} changed ${node.name} while ${member.name} had it ${server.rotation}`;
    }
    const spilled = event.cut.filter(
      (request) => !isOverdue(world, event.by, request) && !isUnseenRequest(world, event, request),
    );
    if (spilled.length === 0) return null;
    return `${by.name} changed ${node.name} and cut ${spilled.length} requests that had time left`;
  },
};

/**
 * No visitor comes to it, as the run saw a moment ago: then it may have gone on without it. What such a balancer is told, `told-together`
 * watches.
 */
function isLookedPast(world: World, event: Switched, member: Member): boolean {
  if (!mayBeAway(world, member)) return false;
  return world.addresses
    .filter(({ balancers }) => balancers.includes(member.balancer))
    .every(
      ({ name, holder, movedAtMs }) =>
        holder !== member.balancer || (movedAtMs > lookBefore(event, { name }) && isFresh(event, { name })),
    );
}

/** As far out of rotation as the balancer can have a server: through a soft drain, sticky sessions always come. */
const leftOf = (world: World, member: Member): ServerState['rotation'] =>
  isSoft(world, member) ? 'draining' : 'out';

const isSoft = (world: World, member: Member): boolean =>
  balancerOf(world, member).capabilities.drain === 'soft';

/** It came in after the last look, which was fresh when the command left. */
const isUnseen = (event: Switched, member: Member, { sinceMs }: Server): boolean =>
  sinceMs > lookBefore(event, member) && isFresh(event, member);

const isFresh = ({ by, sentAtMs }: Switched, { name }: Named): boolean =>
  sentAtMs - lookOf(by, name) <= lookHoldsMs;

const isUnseenRequest = (world: World, event: Switched, { member, server, startedAtMs }: Request): boolean =>
  startedAtMs > lookBefore(event, member) &&
  (isUnseen(event, member, server) || (isSoft(world, member) && isFresh(event, member)));

/** What was seen once the command had left did not help it. */
const lookBefore = ({ by, sentAtMs }: Switched, { name }: Named): number =>
  Math.min(lookOf(by, name), sentAtMs);

/** A member of a balancer, or an address. */
type Named = Pick<Member, 'name'>;

const lookOf = (session: Session, member: string): number =>
  session.looks.get(member) ?? Number.NEGATIVE_INFINITY;

/**
 * The node left rotation so long ago that the site lets it be cut; so also where the balancer cannot count. Of what a
 * process left behind before the run looked on nobody can know.
 */
function isOverdue(world: World, by: Session, { member, server, leftBehindAtMs }: Request): boolean {
  const { clock, site } = world;
  const { capabilities } = balancerOf(world, member);
  if (leftBehindAtMs !== null && leftBehindAtMs < by.plannedAtMs) return true;
  const mayCut =
    site.drain.onTimeout === 'force' || capabilities.sessions === 'none' || leftBehindAtMs !== null;
  // Nothing new comes to a process that gave way to another.
  const sinceMs = Math.min(server.leftAtMs, leftBehindAtMs ?? server.leftAtMs);
  return mayCut && clock.passedMs() - sinceMs >= site.drain.timeoutMs;
}
