import { type DeployError, failure } from '../core/errors.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import type { BalancerState, ServerState } from '../core/observation.ts';
import type { Balancer } from '../ports.ts';
import {
  countsOf,
  isReachable,
  type Member,
  type SimulatedBalancer,
  staleMsMax,
  stateOf,
  switchViewOf,
  viewOf,
} from './balancer.ts';
import { exchange, latencyMs, type Wire } from './wire.ts';
import { endRequest, flipMember, rotate, shareMember, type World, weigh } from './world.ts';

/** A balancer's driver: it reads and writes members, each of which may be down, slow, or behind. */
export const balancerTwin = (wire: Wire, balancer: SimulatedBalancer): Balancer =>
  balancer.capabilities.flipsOnly ? switchTwin(wire, balancer) : plainTwin(wire, balancer);

const plainTwin = (wire: Wire, balancer: SimulatedBalancer): Balancer => ({
  name: balancer.name,
  hosts: [],
  capabilities: balancer.capabilities,
  async observe(signal) {
    const views = await Promise.all(
      balancer.members.map((member) => readMember(wire, member, signal, () => look(wire, balancer, member))),
    );
    return {
      members: views.flatMap(({ members }) => members),
      servers: views.flatMap(({ servers }) => servers),
    };
  },
  async count(signal) {
    const views = await Promise.all(
      balancer.members.map((member) =>
        readMember(wire, member, signal, () => ({ servers: countsOf(member) })),
      ),
    );
    return {
      members: views.flatMap(({ members }) => members),
      servers: views.flatMap(({ servers }) => servers),
    };
  },
  change: (changes, signal) =>
    tellAll(wire, balancer, changes, signal, (member, { node, to }) =>
      rotate(wire.world, member, node, to, wire.session),
    ),
  shift: (changes, signal) =>
    tellAll(wire, balancer, changes, signal, (member, { node, to }) =>
      weigh(wire.world, member, node, to, wire.session),
    ),
  flip: (to, signal) =>
    turnAll(wire, balancer, { node: 'all requests', server: null, to }, signal, (member) =>
      flipMember(wire.world, member, to, wire.session),
    ),
  ...(balancer.capabilities.weights === 'pool'
    ? {
        share: (to, percent, signal) =>
          turnAll(wire, balancer, { node: `${percent} % of requests`, server: null, to }, signal, (member) =>
            shareMember(wire.world, member, { to, percent }, wire.session),
          ),
      }
    : {}),
  describe: ({ node, to }) => `${balancer.name}: ${node} ${typeof to === 'number' ? `weight ${to} %` : to}`,
  async close() {},
});

/** An address between two pools. When it moves, whoever spoke through it is cut off. */
function switchTwin(wire: Wire, balancer: SimulatedBalancer): Balancer {
  const { world } = wire;
  const twin = plainTwin(wire, balancer);
  const refused = () =>
    Promise.reject(
      failure('BALANCER_REFUSED', {
        balancer: balancer.name,
        request: 'this',
        answer: 'it only moves an address',
      }),
    );
  return {
    ...twin,
    change: refused,
    shift: refused,
    count: refused,
    async flip(to, signal) {
      await twin.flip(to, signal);
      for (const request of [...world.requests])
        if (balancer.members.includes(request.member) && request.server.pool !== to)
          endRequest(world, request, { isCut: true });
    },
  };
}

const onAbort = (signal: AbortSignal): unknown => signal.reason;

/** What `read` shows of a member at the moment in which the question meets it; or that it does not answer. */
function readMember<T>(
  { world, session }: Wire,
  member: Member,
  signal: AbortSignal | undefined,
  read: () => Shown<T>,
): Promise<{ readonly members: readonly BalancerState[]; readonly servers: readonly T[] }> {
  const { clock, faults } = world;
  const question = { text: `reads ${member.name}`, signal, onAbort, timeout: null };
  return exchange({ world, session }, question, (reply) => {
    clock.after(latencyMs(world), () => {
      if (isReachable(member, clock.passedMs()) && !faults.balancerFails()) {
        const { servers, heard } = read();
        reply.ok({ members: [stateOf(member)], servers }, latencyMs(world), heard);
      } else reply.ok({ members: [unread(member)], servers: [] }, latencyMs(world));
    });
  });
}

interface Shown<T> {
  readonly servers: readonly T[];
  /** Notes what the run knows from now on. */
  readonly heard?: () => void;
}

/** What the engine can know at most: it is shown what was so at this moment, or a moment before. */
function look(
  { world, session }: Wire,
  { capabilities }: SimulatedBalancer,
  member: Member,
): Shown<ServerState> {
  const stale = world.faults.readIsStale() ? pastOf(world, member) : null;
  const atMs = stale?.atMs ?? world.clock.passedMs();
  const servers = capabilities.flipsOnly
    ? switchViewOf(member)
    : (stale?.servers ?? viewOf(member, capabilities.sessions));
  return { servers, heard: () => session.looks.set(member.name, atMs) };
}

const unread = (member: Member): BalancerState => ({
  ...stateOf(member),
  unreachable: 'no answer within 5000 ms',
  incarnation: '',
  pool: null,
});

/** What was so a moment ago; but nobody who told it something is shown what was before. */
function pastOf({ random, clock }: World, { past, toldAtMs }: Member): Member['past'][number] | null {
  const notBeforeMs = Math.max(toldAtMs, clock.passedMs() - staleMsMax);
  const fit = past.filter(({ atMs }) => atMs > notBeforeMs);
  return fit.length === 0 ? null : random.pick(fit);
}

interface Change<To> {
  readonly node: NodeName;
  readonly server: string | null;
  readonly to: To;
}

async function tellAll<To extends string | number>(
  wire: Wire,
  { name, members }: SimulatedBalancer,
  changes: readonly Change<To>[],
  signal: AbortSignal | undefined,
  obey: (member: Member, order: Change<To>) => void,
): Promise<void> {
  mustBeKnown(name, members, changes);
  const results = await Promise.allSettled(
    members.map((member) => tellMember(wire, member, ordersOf(member, changes), signal, obey)),
  );
  const refused = results.find((result) => result.status === 'rejected');
  if (refused) throw refused.reason;
}

/** One order for each member as a whole. */
async function turnAll(
  wire: Wire,
  { members }: SimulatedBalancer,
  order: Change<PoolName>,
  signal: AbortSignal | undefined,
  obey: (member: Member) => void,
): Promise<void> {
  const results = await Promise.allSettled(
    members.map((member) => tellMember(wire, member, [order], signal, obey)),
  );
  const refused = results.find((result) => result.status === 'rejected');
  if (refused) throw refused.reason;
}

const ordersOf = <To>({ servers }: Member, changes: readonly Change<To>[]): readonly Change<To>[] =>
  changes.filter(({ node, server }) => {
    const own = servers.get(node);
    return own !== undefined && (server === null || server === own.id);
  });

function mustBeKnown<To>(balancer: string, members: readonly Member[], changes: readonly Change<To>[]): void {
  const stray = changes.find((change) => members.every((member) => ordersOf(member, [change]).length === 0));
  if (!stray) return;
  const { node, server } = stray;
  const known = members.flatMap(({ servers }) => [...servers.values()].map(({ id }) => id));
  throw failure('BALANCER_SERVER_UNKNOWN', { balancer, server: server ?? node, node, known });
}

/** Orders are obeyed one after the other; what was obeyed before an error stays so. */
function tellMember<To extends string | number>(
  { world, session }: Wire,
  member: Member,
  orders: readonly Change<To>[],
  signal: AbortSignal | undefined,
  obey: (member: Member, order: Change<To>) => void,
): Promise<void> {
  const { clock, faults, random } = world;
  if (orders.length === 0) return Promise.resolve();
  const text = `tells ${member.name}: ${orders.map(({ node, to }) => `${node} ${to}`).join(', ')}`;
  return exchange<void>({ world, session }, { text, signal, onAbort, timeout: null }, (reply) => {
    // Orders wait in the member's queue; the answer comes once they were obeyed and read back.
    clock.after(latencyMs(world) + member.lagMs, () => {
      if (!isReachable(member, clock.passedMs())) {
        reply.fail(unreachable(member), latencyMs(world));
        return;
      }
      const fails = faults.balancerFails();
      const obeyed = fails ? orders.slice(0, random.integer({ min: 0, max: orders.length })) : orders;
      for (const order of obeyed) obey(member, order);
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
