import type { Member, Server } from '../balancer.ts';
import type { Session } from '../session.ts';
import type { World } from '../world.ts';
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
      if (!member.isUp || server.rotation === 'out' || isUnseen(event, member, server)) continue;
      return `${by.name} changed ${node.name} while ${member.name} had it ${server.rotation}`;
    }
    const spilled = event.cut.filter(
      (request) => !isOverdue(world, request) && !isUnseenRequest(event, request),
    );
    if (spilled.length === 0) return null;
    return `${by.name} changed ${node.name} and cut ${spilled.length} requests that had time left`;
  },
};

/** It came in after the last look, which was fresh when the command left. */
const isUnseen = ({ by, sentAtMs }: Switched, { name }: Member, { sinceMs }: Server): boolean => {
  const look = lookOf(by, name);
  return sinceMs > look && sentAtMs - look <= lookHoldsMs;
};

const isUnseenRequest = (event: Switched, { member, server, startedAtMs }: Request): boolean =>
  startedAtMs > lookOf(event.by, member.name) && isUnseen(event, member, server);

const lookOf = (session: Session, member: string): number =>
  session.looks.get(member) ?? Number.NEGATIVE_INFINITY;

/** The node left rotation so long ago that the site lets it be cut; so also where the balancer cannot count. */
function isOverdue({ clock, site, balancers }: World, { member, server }: Request): boolean {
  const { capabilities } = balancers.find(({ name }) => name === member.balancer)!;
  const mayCut = site.drain.onTimeout === 'force' || capabilities.sessions === 'none';
  return mayCut && clock.passedMs() - server.leftAtMs >= site.drain.timeoutMs;
}
