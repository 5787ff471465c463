import type { NodeName, PoolName } from '../core/node.ts';
import { type Member, rotationOf, type Server, takesRequests } from './balancer.ts';
import { answering } from './node.ts';
import type { SeededRandom } from './random.ts';
import {
  balancerOf,
  checkHealth,
  endRequest,
  errorRate,
  isBroken,
  isInFront,
  nodeOf,
  type World,
} from './world.ts';
import type { Request } from './world-event.ts';

export interface TrafficSettings {
  /** Between two requests, on average. */
  readonly gapMs: number;
}

/** Visitors come all the time, and balancers look after their nodes, for as long as the world goes on. */
export function startTraffic(world: World, { gapMs }: TrafficSettings): void {
  for (const member of world.members) {
    const beat = (): void => {
      if (member.isUp) checkHealth(world, member);
      world.clock.after(member.checks.intervalMs, beat);
    };
    world.clock.after(world.random.integer({ min: 0, max: member.checks.intervalMs }), beat);
  }
  if (world.members.length === 0) return;
  const arrive = (): void => {
    send(world);
    world.clock.after(world.random.integer({ min: 0, max: 2 * gapMs }), arrive);
  };
  world.clock.after(gapMs, arrive);
}

/** One visitor, through one of the balancers in front; some keep to the node that they had, while it lets them. */
function send(world: World): void {
  sendThrough(world, world.random.pick(world.members.filter((member) => isInFront(world, member))));
}

/** Sends one request through the member, if it is up; the node that it goes to, or null. */
export function sendThrough(world: World, member: Member): NodeName | null {
  const { random, clock, faults } = world;
  if (!member.isUp) return null;
  // Through a soft drain they may keep coming for ever, which is for a deadline to end, until the world is healed.
  const sticky = random.chance(faults.healedAtMs === null ? 0.1 : 0);
  const aim = aimOf(member, random);
  const fit = [...member.servers.values()].filter(
    (server) =>
      (server.pool === null || server.pool === aim) &&
      (takesRequests(server) ||
        isStillSent(world, server, member) ||
        (sticky && rotationOf(server) === 'draining' && server.health === 'up')),
  );
  if (fit.length === 0) return null;
  const server = pickByWeight(random, fit);
  const node = nodeOf(world, server.node);
  const release = answering(node, clock.nowMs());
  if (release === null) return null;
  const errs = errorRate(world, node, release);
  const isFailing = isBroken(world, node, release) || (errs > 0 && random.chance(errs));
  const request: Request = { member, server, startedAtMs: clock.passedMs(), isFailing, leftBehindAtMs: null };
  world.requests.add(request);
  server.sessions++;
  clock.after(durationMs(world), () => endRequest(world, request, { isCut: false }));
  return server.node;
}

/** The pool that the next request goes to. */
const aimOf = ({ pool, share }: Member, random: SeededRandom): PoolName | null =>
  share !== null && random.next() * 100 < share.percent ? share.to : pool;

/** What the member was told has not reached every corner of it yet. */
const isStillSent = (world: World, { was, rotation, health, sinceMs }: Server, member: Member): boolean =>
  was === 'in' &&
  rotation !== 'in' &&
  health === 'up' &&
  world.clock.passedMs() - sinceMs < balancerOf(world, member).capabilities.settleMs;

/** A server without weight is only met by those who keep to it: one of them is as good as another. */
function pickByWeight(random: SeededRandom, servers: readonly Server[]): Server {
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return random.pick(servers);
  let left = random.next() * total;
  for (const server of servers) {
    left -= server.weight;
    if (left < 0) return server;
  }
  return servers.at(-1)!;
}

/** Most are pages; some are uploads, and a few outlast every patience, until the world is healed. */
function durationMs({ random, faults }: World): number {
  const kind = random.next();
  if (kind < 0.8) return random.integer({ min: 5, max: 60 });
  if (faults.healedAtMs !== null) return random.integer({ min: 60, max: 400 });
  if (kind < 0.97) return random.integer({ min: 100, max: 1500 });
  return random.integer({ min: 2000, max: 25_000 });
}
