import { failure } from '../../core/errors.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, Host, WeightChange } from '../../ports.ts';
import { type CountedServer, countCommands, countsOf } from './haproxy-counts.ts';
import { isList, type Switch, switchOf } from './haproxy-map.ts';
import { type HaproxyOptions, haproxyOptions } from './haproxy-options.ts';
import { endSessions, sessionCommands, webSocketsOf } from './haproxy-sessions.ts';
import { type Ask, askThrough, shownTarget } from './haproxy-socket.ts';
import {
  type Reading,
  readCommands,
  readingOf,
  refusalOf,
  type ServerName,
  type ServerReading,
  setState,
  setWeight,
} from './haproxy-wire.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { reasonUnreachable, settled } from './members.ts';
import { type Change, mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

const capabilities: BalancerCapabilities = {
  drain: 'both',
  sessions: 'exact',
  settleMs: 0,
  successor: { rotation: 'forgotten', requests: 'uncounted' },
  weights: 'server',
  flip: 'kept',
  counters: true,
};

/**
 * HAProxy, over its runtime API (management guide, 9.3): nothing is installed, nothing is reloaded, and nothing
 * that is set here outlives a restart of HAProxy but a flip, where its map file is within reach. Requests that still run in an old worker after a reload cannot be
 * seen on the stats socket: they are not in `ServerState.sessions`.
 */
export const haproxy: BalancerKind = balancerKind<HaproxyOptions>({
  summary: "HAProxy, over its runtime API. The stats socket needs 'level admin'.",
  options: haproxyOptions,
  capabilities,
  create({ name, options, nodes, pools = {}, transport }) {
    const { socket, host, timeout } = options;
    const flips = switchOf(name, options, transport);
    const members = socket.map((to): Member => {
      const address = shownTarget(to);
      return {
        balancer: name,
        address,
        targets: targetsOf(name, options, {
          nodes,
          pools,
          suffix: socket.length > 1 ? ` @${address}` : '',
        }),
        flips,
        ask: askThrough({ balancer: name, to, host, transport, timeoutMs: timeout }),
      };
    });
    return driver(name, members, { host, flips });
  },
});

/** One HAProxy process. */
interface Member {
  readonly balancer: BalancerName;
  readonly address: string;
  readonly targets: readonly HaproxyTarget[];
  readonly flips: Switch | null;
  readonly ask: Ask;
}

type HaproxyTarget = Target & ServerName;

const targetsOf = (
  balancer: BalancerName,
  { backend: backends, servers }: HaproxyOptions,
  {
    nodes,
    pools,
    suffix,
  }: {
    readonly nodes: readonly NodeName[];
    readonly pools: Readonly<Record<NodeName, PoolName>>;
    readonly suffix: string;
  },
): readonly HaproxyTarget[] => {
  const targets = (backend: string, names: readonly NodeName[]): readonly HaproxyTarget[] =>
    names.map((node) => {
      const server = servers[node] ?? node;
      return { node, backend, server, id: `${balancer} ${backend}/${server}${suffix}` };
    });
  return isList(backends)
    ? backends.flatMap((backend) => targets(backend, nodes))
    : Object.entries(backends).flatMap(([pool, backend]) =>
        targets(
          backend,
          nodes.filter((node) => pools[node] === pool),
        ),
      );
};

function driver(
  name: BalancerName,
  members: readonly Member[],
  { host, flips }: { readonly host: Host | null; readonly flips: Switch | null },
): Balancer {
  const targets = members.flatMap((member) => member.targets);
  return {
    name,
    hosts: host ? [host] : [],
    capabilities: {
      ...capabilities,
      flip: flips === null ? 'none' : flips.isKept ? 'kept' : 'forgotten',
    },
    async observe(signal) {
      return viewsOf(
        await settled(members.map((member) => view(member, readCommands, readingOf, stateOf, signal))),
      );
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      await settled(
        members.map((member) => tell(member, ordersOf(member.targets, changes).map(rotationOrder), signal)),
      );
    },
    async shift(changes, signal) {
      mustBeKnown(name, targets, changes);
      const orders = members.map((member) => weightOrders(member, changes, signal));
      // A member that cannot be reached does not keep the others from being told, and is reported in the end.
      await settled(orders).catch(reasonUnreachable);
      await settled(members.map(async (member, i) => tell(member, await orders[i]!, signal)));
    },
    async flip(to, signal) {
      if (flips === null)
        throw failure('BALANCER_REFUSED', {
          balancer: name,
          request: `flip to ${to}`,
          answer: 'it has no map',
        });
      await flips.keep(to, signal);
      await settled(members.map((member) => turn(member, flips, to, signal)));
    },
    async count(signal) {
      return viewsOf(
        await settled(members.map((member) => view(member, countCommands, countsOf, answersOf, signal))),
      );
    },
    webSockets: {
      async count(signal) {
        const counts = await settled(members.map((member) => webSocketsAt(member, signal)));
        return new Map(counts.flat());
      },
      async close(servers, signal) {
        await settled(members.map((member) => endAll(member, servers, signal)));
      },
    },
    describe: (change) => [...new Set(commandsFor(targets, change))].join('; '),
    async close() {},
  };
}

const commandsFor = (targets: readonly HaproxyTarget[], change: Change): readonly string[] =>
  isWeight(change) ? ordersOf(targets, [change]).map(setWeight) : ordersOf(targets, [change]).map(setState);

const isWeight = (change: Change): change is WeightChange => typeof change.to === 'number';

/** Reads a member with these commands, and shows each of its targets; or says why it cannot be read. */
async function view<S extends ServerName, T>(
  member: Member,
  commands: readonly string[],
  read: (answers: readonly string[]) => { readonly incarnation: string; readonly servers: readonly S[] },
  show: (server: S) => T,
  signal?: AbortSignal,
): Promise<MemberView<T>> {
  const { balancer, address, flips } = member;
  const all = [...commands, ...(flips ? [flips.read] : [])];
  const readAll = (answers: readonly string[]) => ({
    ...read(answers),
    pool: flips?.poolIn(answers[commands.length]) ?? null,
  });
  const seen = await member.ask(all, readAll, signal).catch(reasonUnreachable);
  if (typeof seen === 'string') {
    return {
      state: { balancer, member: address, unreachable: seen, incarnation: '', pool: null },
      servers: [],
    };
  }
  const { incarnation, pool } = seen;
  return {
    state: { balancer, member: address, unreachable: null, incarnation, pool },
    servers: member.targets.map((target) => ({
      balancer,
      member: address,
      node: target.node,
      server: target.id,
      ...show(found(member, target, seen.servers)),
    })),
  };
}

interface MemberView<T> {
  readonly state: BalancerState;
  readonly servers: readonly (T & Pick<ServerState, 'balancer' | 'member' | 'node' | 'server'>)[];
}

const viewsOf = <T>(views: readonly MemberView<T>[]) => ({
  members: views.map(({ state }) => state),
  servers: views.flatMap(({ servers }) => servers),
});

const stateOf = ({ rotation, health, sessions, weight }: ServerReading) => ({
  rotation,
  health,
  sessions,
  weight: percentOf(weight),
});

const answersOf = ({ answers }: CountedServer) => ({ answers });

function found<S extends ServerName>(member: Member, target: HaproxyTarget, servers: readonly S[]): S {
  const server = servers.find((s) => s.backend === target.backend && s.server === target.server);
  if (server) return server;
  const near = servers.filter(({ backend }) => backend === target.backend);
  throw failure('BALANCER_SERVER_UNKNOWN', {
    balancer: member.balancer,
    server: `${target.backend}/${target.server}`,
    node: target.node,
    known: (near.length > 0 ? near : servers).map((s) => `${s.backend}/${s.server}`),
  });
}

/** One command for one server, and how it is seen to be obeyed. */
interface Order {
  readonly target: HaproxyTarget;
  readonly command: string;
  readonly wanted: string;
  seenIn(server: ServerReading): { readonly isObeyed: boolean; readonly seen: string };
}

const rotationOrder = (order: Ordered<HaproxyTarget>): Order => ({
  target: order,
  command: setState(order),
  wanted: order.to,
  seenIn: ({ rotation, because }) => ({
    isObeyed: rotation === order.to,
    seen: because.length === 0 ? rotation : `${rotation} (${because.join(', ')})`,
  }),
});

/** Reads the configured weights first: HAProxy would round a percentage down without a word, if need be to 0. */
async function weightOrders(
  member: Member,
  changes: readonly WeightChange[],
  signal?: AbortSignal,
): Promise<readonly Order[]> {
  const { balancer } = member;
  const { servers } = await member.ask(readCommands, readingOf, signal);
  return ordersOf(member.targets, changes).map((order): Order => {
    const { configured } = found(member, order, servers).weight;
    const wanted = weightAt(order.to, { balancer, server: order.id, configured });
    return {
      target: order,
      command: setWeight(order),
      wanted: `weight ${wanted}`,
      seenIn: ({ weight: { now } }) => ({ isObeyed: now === wanted, seen: `weight ${now}` }),
    };
  });
}

/** Gives the orders and reads all servers back on one connection: HAProxy goes on after an order it refused. */
async function tell(member: Member, orders: readonly Order[], signal?: AbortSignal): Promise<void> {
  if (orders.length === 0) return;
  const read = (answers: readonly string[]) => ({
    refusals: answers.slice(0, orders.length).map(refusalOf),
    reading: readingOf(answers.slice(orders.length)),
  });
  const commands = [...orders.map(({ command }) => command), ...readCommands];
  const { refusals, reading } = await member.ask(commands, read, signal);
  for (const [i, order] of orders.entries()) mustBeObeyed(member, order, refusals[i] ?? null, reading);
}

async function webSocketsAt(
  { targets, ask }: Member,
  signal?: AbortSignal,
): Promise<readonly (readonly [string, number])[]> {
  const counts = await ask(sessionCommands, webSocketsOf, signal);
  return targets.map(({ id, backend, server }) => [id, counts.get(`${backend}/${server}`) ?? 0]);
}

async function endAll(
  { balancer, targets, ask }: Member,
  servers: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const commands = targets.filter(({ id }) => servers.includes(id)).map(endSessions);
  if (commands.length === 0) return;
  const answers = await ask(commands, (all) => all.map(refusalOf), signal);
  for (const [i, refusal] of answers.entries())
    if (refusal !== null)
      throw failure('BALANCER_REFUSED', { balancer, request: commands[i]!, answer: explained(refusal) });
}

/** One change for all requests that come from now on, read back on the same connection. */
async function turn(member: Member, flips: Switch, to: PoolName, signal?: AbortSignal): Promise<void> {
  const { balancer, address } = member;
  const command = flips.write(to);
  const [told = '', shown] = await member.ask([command, flips.read], (answers) => answers, signal);
  const refusal = refusalOf(told);
  if (refusal !== null)
    throw failure('BALANCER_REFUSED', { balancer, request: command, answer: explained(refusal) });
  const seen = flips.poolIn(shown);
  if (seen !== to)
    throw failure('BALANCER_NOT_APPLIED', {
      balancer,
      server: address,
      wanted: to,
      seen: seen ?? 'no pool that it names',
    });
}

function mustBeObeyed(
  member: Member,
  { target, command, wanted, seenIn }: Order,
  refusal: string | null,
  { servers }: Reading,
): void {
  const { balancer } = member;
  const { isObeyed, seen } = seenIn(found(member, target, servers));
  if (refusal !== null) {
    throw failure('BALANCER_REFUSED', { balancer, request: command, answer: explained(refusal) });
  }
  if (isObeyed) return;
  throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted, seen });
}

const explained = (refusal: string): string =>
  refusal === 'Permission denied' ? `${refusal} (the stats socket needs 'level admin')` : refusal;
