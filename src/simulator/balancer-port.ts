import { type DeployError, failure } from '../core/errors.ts';
import type { Balancer, BalancerView, RotationChange } from '../ports.ts';
import { type Member, type SimulatedBalancer, staleMsMax, stateOf, viewOf } from './balancer.ts';
import { exchange, latencyMs, type Wire } from './wire.ts';
import { rotate, type World } from './world.ts';

/** A balancer's driver: it reads and writes members, each of which may be down, slow, or behind. */
export const balancerTwin = (wire: Wire, balancer: SimulatedBalancer): Balancer => ({
  name: balancer.name,
  capabilities: balancer.capabilities,
  async observe(signal) {
    const views = await Promise.all(
      balancer.members.map((member) => readMember(wire, balancer, member, signal)),
    );
    return {
      members: views.flatMap(({ members }) => members),
      servers: views.flatMap(({ servers }) => servers),
    };
  },
  async change(changes, signal) {
    const results = await Promise.allSettled(
      balancer.members.map((member) => tellMember(wire, member, changes, signal)),
    );
    const refused = results.find((result) => result.status === 'rejected');
    if (refused) throw refused.reason;
  },
  describe: ({ node, to }) => `${balancer.name}: ${node} ${to}`,
  async close() {},
});

const onAbort = (signal: AbortSignal): unknown => signal.reason;

function readMember(
  { world, session }: Wire,
  { capabilities }: SimulatedBalancer,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<BalancerView> {
  const { clock, faults } = world;
  const question = { text: `reads ${member.name}`, signal, onAbort, timeout: null };
  return exchange<BalancerView>({ world, session }, question, (reply) => {
    clock.after(latencyMs(world), () => {
      if (!member.isUp || faults.balancerFails()) {
        reply.ok(unread(member), latencyMs(world));
        return;
      }
      const stale = faults.readIsStale() ? pastOf(world, member) : null;
      const servers = stale?.servers ?? viewOf(member, capabilities.sessions);
      // What the engine can know at most: it is shown what was so at this moment.
      session.looks.set(member.name, stale?.atMs ?? clock.passedMs());
      reply.ok({ members: [stateOf(member)], servers }, latencyMs(world));
    });
  });
}

const unread = (member: Member): BalancerView => ({
  members: [{ ...stateOf(member), unreachable: 'no answer within 5000 ms', incarnation: '' }],
  servers: [],
});

/** What was so a moment ago; but nobody who told it something is shown what was before. */
function pastOf({ random, clock }: World, { past, toldAtMs }: Member): Member['past'][number] | null {
  const notBeforeMs = Math.max(toldAtMs, clock.passedMs() - staleMsMax);
  const fit = past.filter(({ atMs }) => atMs > notBeforeMs);
  return fit.length === 0 ? null : random.pick(fit);
}

/** Orders are obeyed one after the other; what was obeyed before an error stays so. */
function tellMember(
  { world, session }: Wire,
  member: Member,
  changes: readonly RotationChange[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock, faults, random } = world;
  const orders = changes.flatMap(({ node, server, to }) => {
    const own = member.servers.get(node);
    return own && (server === null || server === own.id) ? [{ node, to }] : [];
  });
  if (orders.length === 0) return Promise.resolve();
  const text = `tells ${member.name}: ${orders.map(({ node, to }) => `${node} ${to}`).join(', ')}`;
  return exchange<void>({ world, session }, { text, signal, onAbort, timeout: null }, (reply) => {
    // Orders wait in the member's queue; the answer comes once they were obeyed and read back.
    clock.after(latencyMs(world) + member.lagMs, () => {
      if (!member.isUp) {
        reply.fail(unreachable(member), latencyMs(world));
        return;
      }
      const fails = faults.balancerFails();
      const obeyed = fails ? orders.slice(0, random.integer({ min: 0, max: orders.length })) : orders;
      for (const { node, to } of obeyed) rotate(world, member, node, to, session);
      if (obeyed.length > 0) member.toldAtMs = clock.passedMs();
      if (fails) reply.fail(unreachable(member), latencyMs(world));
      else reply.ok(undefined, latencyMs(world));
    });
  });
}

const unreachable =
  ({ balancer, name }: Member) =>
  (): DeployError =>
    failure('BALANCER_UNREACHABLE', { balancer, address: name, reason: 'no answer within 5000 ms' });
