import { failure } from '../../core/errors.ts';
import type { PoolName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, Host, StreamTarget, WeightChange } from '../../ports.ts';
import { type CountedServer, type Counts, countCommands, countsOf } from './haproxy-counts.ts';
import { type Switch, switchOf } from './haproxy-map.ts';
import { type AskOthers, othersThrough } from './haproxy-master.ts';
import { type HaproxyOptions, haproxyConflicts, haproxyOptions } from './haproxy-options.ts';
import { placeOf } from './haproxy-place.ts';
import { endSessions, sessionCommands, webSocketsOf } from './haproxy-sessions.ts';
import { type Ask, askThrough, type Socket, shownTarget } from './haproxy-socket.ts';
import { type KeepState, keepStateIn } from './haproxy-state.ts';
import { found, type HaproxyTarget, targetsOf } from './haproxy-targets.ts';
import {
  type InFlight,
  type Reading,
  readCommands,
  readingOf,
  refusalOf,
  type ServerName,
  type ServerReading,
  setState,
  setWeight,
  statesIn,
} from './haproxy-wire.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { type MemberView, reasonUnreachable, settled, viewsOf } from './members.ts';
import { type Change, mustBeKnown, type Ordered, ordersOf } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

/**
 * HAProxy, over its runtime API (management guide, 9.3): nothing is installed, nothing is reloaded. What is set here
 * outlives a restart of HAProxy where its files are within reach: a flip in its map, rotation and weights in its file of
 * states. Requests that still run in an old worker after a reload cannot be seen on the stats socket: they are in
 * `ServerState.sessions` where the master may be asked for them.
 */
export const haproxy: BalancerKind = balancerKind<HaproxyOptions>({
  summary: "HAProxy, over its runtime API. The stats socket needs 'level admin'.",
  options: haproxyOptions,
  capabilities: capable({ rotation: 'forgotten', requests: 'uncounted', flip: 'kept' }),
  conflicts: haproxyConflicts,
  create({ name, options, nodes, pools = {}, transport }) {
    const { socket, host, timeout, master, stateFile } = options;
    const flips = switchOf(name, options, transport);
    const place = placeOf(options, transport);
    const socketTo = (to: StreamTarget): Socket => ({
      balancer: name,
      to,
      host,
      transport,
      timeoutMs: timeout,
    });
    const members = socket.map((to, i): Member => {
      const address = shownTarget(to);
      const file = stateFile?.[i];
      return {
        balancer: name,
        address,
        targets: targetsOf(name, options, {
          nodes,
          pools,
          suffix: socket.length > 1 ? ` @${address}` : '',
        }),
        flips,
        ask: askThrough(socketTo(to)),
        askOthers: master?.[i] ? othersThrough(socketTo(master[i])) : async () => [],
        keep: file !== undefined && place ? keepStateIn(file, place, name) : async () => {},
      };
    });
    return driver(name, members, { host, flips, capabilities: capabilitiesOf(options, flips) });
  },
});

/** One HAProxy process. */
interface Member {
  readonly balancer: BalancerName;
  readonly address: string;
  readonly targets: readonly HaproxyTarget[];
  readonly flips: Switch | null;
  readonly ask: Ask;
  readonly askOthers: AskOthers;
  readonly keep: KeepState;
}

const capabilitiesOf = ({ master, stateFile }: HaproxyOptions, flips: Switch | null): BalancerCapabilities =>
  capable({
    rotation: stateFile === null ? 'forgotten' : 'kept',
    requests: master === null ? 'uncounted' : 'counted',
    flip: flips === null ? 'none' : flips.isKept ? 'kept' : 'forgotten',
  });

function capable({
  flip,
  ...successor
}: BalancerCapabilities['successor'] & Pick<BalancerCapabilities, 'flip'>): BalancerCapabilities {
  return {
    drain: 'both',
    sessions: 'exact',
    settleMs: 0,
    successor,
    weights: 'server',
    flip,
    counters: true,
  };
}

function driver(
  name: BalancerName,
  members: readonly Member[],
  {
    host,
    flips,
    capabilities,
  }: {
    readonly host: Host | null;
    readonly flips: Switch | null;
    readonly capabilities: BalancerCapabilities;
  },
): Balancer {
  const targets = members.flatMap((member) => member.targets);
  return {
    name,
    hosts: host ? [host] : [],
    capabilities,
    async observe(signal) {
      return viewsOf(await settled(members.map((member) => view(member, states, signal))));
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
      return viewsOf(await settled(members.map((member) => view(member, counters, signal))));
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

/** What is looked at: how it is asked for, and what of it is shown of each server. */
interface Look<R extends { readonly incarnation: string }, T> {
  readonly commands: readonly string[];
  read(answers: readonly string[]): R;
  /** Of each server by its name; may ask more. */
  show(member: Member, read: R, signal?: AbortSignal): Promise<readonly Shown<T>[]>;
}

interface Shown<T> extends ServerName {
  readonly shown: T;
}

type State = Pick<ServerState, 'rotation' | 'health' | 'sessions' | 'weight'>;

/**
 * Workers are asked for after the process at the socket: if it is replaced in between, it is counted twice rather than
 * not at all.
 */
const states: Look<Reading, State> = {
  commands: readCommands,
  read: readingOf,
  async show({ askOthers }, { pid, servers }, signal) {
    const elsewhere = await askOthers(pid, signal);
    return servers.map(({ rotation, health, sessions, weight, ...name }) => ({
      ...name,
      shown: {
        rotation,
        health,
        sessions: sessions + sessionsOn(name, elsewhere),
        weight: percentOf(weight),
      },
    }));
  },
};

const sessionsOn = ({ backend, server }: ServerName, inFlight: readonly InFlight[]): number =>
  inFlight.reduce(
    (sum, one) => sum + (one.backend === backend && one.server === server ? one.sessions : 0),
    0,
  );

const counters: Look<Counts, Pick<CountedServer, 'answers'>> = {
  commands: countCommands,
  read: countsOf,
  show: async (_, { servers }) => servers.map(({ answers, ...name }) => ({ ...name, shown: { answers } })),
};

/** Looks at a member, and shows each of its targets; or says why it cannot be read. */
async function view<R extends { readonly incarnation: string }, T>(
  member: Member,
  look: Look<R, T>,
  signal?: AbortSignal,
): Promise<MemberView<T>> {
  const { balancer, address } = member;
  const seen = await seenOf(member, look, signal).catch(reasonUnreachable);
  if (typeof seen === 'string') {
    return {
      state: { balancer, member: address, unreachable: seen, incarnation: '', pool: null },
      servers: [],
    };
  }
  const { incarnation, pool, servers } = seen;
  return {
    state: { balancer, member: address, unreachable: null, incarnation, pool },
    servers: member.targets.map((target) => ({
      balancer,
      member: address,
      node: target.node,
      server: target.id,
      ...found(member, target, servers).shown,
    })),
  };
}

async function seenOf<R extends { readonly incarnation: string }, T>(
  member: Member,
  { commands, read, show }: Look<R, T>,
  signal?: AbortSignal,
): Promise<Pick<BalancerState, 'incarnation' | 'pool'> & { readonly servers: readonly Shown<T>[] }> {
  const { flips } = member;
  const readAll = (answers: readonly string[]) => ({
    reading: read(answers),
    pool: flips?.poolIn(answers[commands.length]) ?? null,
  });
  const { reading, pool } = await member.ask([...commands, ...(flips ? [flips.read] : [])], readAll, signal);
  return { incarnation: reading.incarnation, pool, servers: await show(member, reading, signal) };
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

/**
 * Gives the orders and reads all servers back on one connection, for HAProxy goes on after an order it refused; what is so
 * then is written down.
 */
async function tell(member: Member, orders: readonly Order[], signal?: AbortSignal): Promise<void> {
  if (orders.length === 0) return;
  const read = (answers: readonly string[]) => ({
    refusals: answers.slice(0, orders.length).map(refusalOf),
    reading: readingOf(answers.slice(orders.length)),
    states: statesIn(answers.slice(orders.length)),
  });
  const commands = [...orders.map(({ command }) => command), ...readCommands];
  const { refusals, reading, states } = await member.ask(commands, read, signal);
  await member.keep(states, signal);
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
