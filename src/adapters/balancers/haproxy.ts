import { type DeployError, failure, isDeployError, list } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer } from '../../ports.ts';
import { type HaproxyOptions, haproxyOptions } from './haproxy-options.ts';
import { type Ask, askThrough, shownTarget } from './haproxy-socket.ts';
import { type Reading, readCommands, readingOf, refusalOf, setState } from './haproxy-wire.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';

/**
 * HAProxy, over its runtime API (management guide, 9.3): nothing is installed, nothing is reloaded, and nothing
 * that is set here outlives a restart of HAProxy. Requests that still run in an old worker after a reload cannot be
 * seen on the stats socket: they are not in `ServerState.sessions`.
 */
export const haproxy: BalancerKind = balancerKind<HaproxyOptions>({
  summary: "HAProxy, over its runtime API. The stats socket needs 'level admin'.",
  options: haproxyOptions,
  create({ name, options, nodes, transport }) {
    const { socket, host, timeout } = options;
    const members = socket.map((to): Member => {
      const address = shownTarget(to);
      return {
        balancer: name,
        address,
        targets: targetsOf(name, options, nodes, socket.length > 1 ? ` @${address}` : ''),
        ask: askThrough({ balancer: name, to, host, transport, timeoutMs: timeout }),
      };
    });
    return driver(name, members);
  },
});

/** One HAProxy process. */
interface Member {
  readonly balancer: BalancerName;
  readonly address: string;
  readonly targets: readonly HaproxyTarget[];
  readonly ask: Ask;
}

interface HaproxyTarget extends Target {
  readonly backend: string;
  readonly server: string;
}

const targetsOf = (
  balancer: BalancerName,
  { backend: backends, servers }: HaproxyOptions,
  nodes: readonly NodeName[],
  suffix: string,
): readonly HaproxyTarget[] =>
  backends.flatMap((backend) =>
    nodes.map((node) => {
      const server = servers[node] ?? node;
      return { node, backend, server, id: `${balancer} ${backend}/${server}${suffix}` };
    }),
  );

function driver(name: BalancerName, members: readonly Member[]): Balancer {
  const targets = members.flatMap((member) => member.targets);
  return {
    name,
    capabilities: { drain: 'both', sessions: 'exact', weights: true },
    async observe(signal) {
      const views = await settled(members.map((member) => read(member, signal)));
      return { members: views.map(({ state }) => state), servers: views.flatMap(({ servers }) => servers) };
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      await settled(members.map((member) => tell(member, ordersOf(member.targets, changes), signal)));
    },
    describe: (change) => [...new Set(ordersOf(targets, [change]).map(setState))].join('; '),
    async close() {},
  };
}

async function read(member: Member, signal?: AbortSignal): Promise<MemberView> {
  const { balancer, address } = member;
  const seen = await member.ask(readCommands, readingOf, signal).catch(reasonUnreachable);
  if (typeof seen === 'string') {
    return { state: { balancer, member: address, unreachable: seen, incarnation: '' }, servers: [] };
  }
  return {
    state: { balancer, member: address, unreachable: null, incarnation: seen.incarnation },
    servers: member.targets.map((target) => {
      const { rotation, health, sessions } = found(member, target, seen);
      return { balancer, member: address, node: target.node, server: target.id, rotation, health, sessions };
    }),
  };
}

interface MemberView {
  readonly state: BalancerState;
  readonly servers: readonly ServerState[];
}

function reasonUnreachable(error: unknown): string {
  if (isDeployError(error, 'BALANCER_UNREACHABLE')) return String(error.details.reason);
  throw error;
}

function found(member: Member, target: HaproxyTarget, { servers }: Reading) {
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

/** Gives the orders and reads all servers back on one connection: HAProxy goes on after an order it refused. */
async function tell(
  member: Member,
  orders: readonly Ordered<HaproxyTarget>[],
  signal?: AbortSignal,
): Promise<void> {
  if (orders.length === 0) return;
  const read = (answers: readonly string[]) => ({
    refusals: answers.slice(0, orders.length).map(refusalOf),
    reading: readingOf(answers.slice(orders.length)),
  });
  const { refusals, reading } = await member.ask([...orders.map(setState), ...readCommands], read, signal);
  for (const [i, order] of orders.entries()) mustBeObeyed(member, order, refusals[i] ?? null, reading);
}

function mustBeObeyed(
  member: Member,
  order: Ordered<HaproxyTarget>,
  refusal: string | null,
  reading: Reading,
): void {
  const { balancer } = member;
  const { rotation, because } = found(member, order, reading);
  if (refusal !== null) {
    throw failure('BALANCER_REFUSED', { balancer, request: setState(order), answer: explained(refusal) });
  }
  if (rotation === order.to) return;
  const seen = because.length === 0 ? rotation : `${rotation} (${because.join(', ')})`;
  throw failure('BALANCER_NOT_APPLIED', { balancer, server: order.id, wanted: order.to, seen });
}

const explained = (refusal: string): string =>
  refusal === 'Permission denied' ? `${refusal} (the stats socket needs 'level admin')` : refusal;

/**
 * All results, once all have ended; or a failure. One that will last goes before members that could not be reached:
 * the next observation names those.
 */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(work);
  const errors = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const unreachable = errors.filter((error) => isDeployError(error, 'BALANCER_UNREACHABLE'));
  if (unreachable.length < errors.length)
    throw errors.find((error) => !unreachable.includes(error as DeployError));
  if (unreachable.length > 0) throw together(unreachable);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

function together(errors: readonly DeployError[]): DeployError {
  const each = (detail: string) => errors.map(({ details }) => String(details[detail]));
  const [balancer = ''] = each('balancer');
  return failure(
    'BALANCER_UNREACHABLE',
    { balancer, address: list(each('address')), reason: each('reason').join('; ') },
    errors[0],
  );
}
