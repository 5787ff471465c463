import { takesRequests } from './balancer.ts';
import { answering } from './node.ts';
import { checkHealth, endRequest, nodeOf, type World } from './world.ts';
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

/** One visitor, through one of the balancers; some keep to the node that they had, while it lets them. */
function send(world: World): void {
  const { random, clock, faults } = world;
  const member = random.pick(world.members);
  if (!member.isUp) return;
  // Through a soft drain they may keep coming for ever, which is for a deadline to end, until the world is healed.
  const sticky = random.chance(faults.isHealed ? 0 : 0.1);
  const fit = [...member.servers.values()].filter(
    (server) => takesRequests(server) || (sticky && server.rotation === 'draining' && server.health === 'up'),
  );
  if (fit.length === 0) return;
  const server = random.pick(fit);
  if (answering(nodeOf(world, server.node), clock.nowMs()) === null) return;
  const request: Request = { member, server, startedAtMs: clock.passedMs() };
  world.requests.add(request);
  server.sessions++;
  clock.after(durationMs(world), () => endRequest(world, request));
}

/** Most are pages; some are uploads, and a few outlast every patience, until the world is healed. */
function durationMs({ random, faults }: World): number {
  const kind = random.next();
  if (kind < 0.8) return random.integer({ min: 5, max: 60 });
  if (faults.isHealed) return random.integer({ min: 60, max: 400 });
  if (kind < 0.97) return random.integer({ min: 100, max: 1500 });
  return random.integer({ min: 2000, max: 25_000 });
}
