import type { Answers, Counted } from '../../core/counts.ts';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import {
  describe,
  duration,
  type Field,
  integer,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  port,
  scalar,
  secret,
  text,
  withDefault,
} from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, WeightChange } from '../../ports.ts';
import { jsonIn } from './json.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { type Change, mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

const capabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'exact',
  settleMs: 0,
  // The sandbox gives its balancer a state file, and a process that ends cuts its requests off.
  successor: { rotation: 'kept', requests: 'counted' },
  weights: 'server',
  flip: 'kept',
  counters: true,
};

/** The small balancer of the sandbox, over its admin API: see `src/sandbox/balancer.ts`. */
export const embedded: BalancerKind = balancerKind<EmbeddedOptions>({
  summary: "The sandbox's own balancer, over its admin API.",
  options: {
    url: describe('Where the admin API is: http://host:port.', httpUrl()),
    token: describe('What the admin API asks for.', secret),
    servers: describe(
      'The name of a node at the balancer, where it differs.',
      withDefault(mapOf(text, 'the name of a node'), {}),
    ),
    timeout: describe('How long the balancer may take to answer.', withDefault(duration, 5000, '5s')),
  },
  capabilities,
  create: ({ name, options, nodes }) => driver(name, options, targetsOf(name, options, nodes)),
});

interface EmbeddedOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: Secret;
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly timeout: number;
}

function httpUrl(): Field<string> {
  return scalar('an http:// or https:// URL', { type: 'string', pattern: '^https?://' }, (value) =>
    typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value)
      ? new URL(value).href.replace(/\/$/, '')
      : undefined,
  );
}

interface EmbeddedTarget extends Target {
  readonly server: string;
}

const targetsOf = (
  balancer: BalancerName,
  { servers }: EmbeddedOptions,
  nodes: readonly NodeName[],
): readonly EmbeddedTarget[] =>
  nodes.map((node) => {
    const server = servers[node] ?? node;
    return { node, server, id: `${balancer} ${server}` };
  });

const driver = (
  balancer: BalancerName,
  options: EmbeddedOptions,
  targets: readonly EmbeddedTarget[],
): Balancer => {
  const seen = (signal?: AbortSignal) =>
    ask(balancer, options, { method: 'GET' }, signal).catch(reasonUnread);
  const tell = async (
    orders: (before: Answer) => readonly Order[],
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const before = await ask(balancer, options, { method: 'GET' }, signal);
    const given = orders(before);
    const after = await ask(balancer, options, { method: 'PATCH', body: patchOf(given) }, signal);
    for (const order of given) mustBeApplied(balancer, order, found(balancer, order.target, after));
  };
  return {
    name: balancer,
    hosts: [],
    capabilities,
    async observe(signal) {
      return viewOf(balancer, options, targets, await seen(signal), stateOf);
    },
    async change(changes, signal) {
      mustBeKnown(balancer, targets, changes);
      const orders = ordersOf(targets, changes);
      await tell((before) => {
        for (const order of orders) found(balancer, order, before);
        return orders.map(rotationOrder);
      }, signal);
    },
    async shift(changes, signal) {
      mustBeKnown(balancer, targets, changes);
      const orders = ordersOf(targets, changes);
      await tell(
        (before) => orders.map((order) => weightOrder(balancer, order, found(balancer, order, before))),
        signal,
      );
    },
    async flip(to, signal) {
      const { pool } = await ask(balancer, options, { method: 'PATCH', path: '/pool', body: { to } }, signal);
      if (pool === to) return;
      throw failure('BALANCER_NOT_APPLIED', {
        balancer,
        server: options.url,
        wanted: to,
        seen: pool ?? 'no pool',
      });
    },
    async count(signal): Promise<Counted> {
      return viewOf(balancer, options, targets, await seen(signal), countsOf);
    },
    webSockets: {
      async count(signal) {
        const { servers } = viewOf(
          balancer,
          options,
          targets,
          await ask(balancer, options, { method: 'GET' }, signal),
          ({ webSockets }) => ({ webSockets }),
        );
        return new Map(servers.map(({ server, webSockets }) => [server, webSockets]));
      },
      async close(servers, signal) {
        await tell(() => targets.filter(({ id }) => servers.includes(id)).map(webSocketsOrder), signal);
      },
    },
    describe: (change) => `PATCH ${options.url}/servers ${describePatch(targets, change)}`,
    async close() {},
  };
};

/** What a server is told, and how it is seen to be so. */
interface Order {
  readonly target: EmbeddedTarget;
  readonly patch: Patch[string];
  readonly wanted: string;
  seenIn(server: AnsweredServer): { readonly isApplied: boolean; readonly seen: string };
}

const rotationOrder = (order: Ordered<EmbeddedTarget>): Order => ({
  target: order,
  patch: { rotation: order.to },
  wanted: order.to,
  seenIn(server) {
    const rotation = rotationOf(server);
    return {
      isApplied: rotation === order.to,
      seen: server.weight === 0 ? `${rotation} (its weight is 0)` : rotation,
    };
  },
});

function weightOrder(
  balancer: BalancerName,
  order: Ordered<EmbeddedTarget, WeightChange>,
  { configuredWeight: configured }: AnsweredServer,
): Order {
  const weight = weightAt(order.to, { balancer, server: order.id, configured });
  return {
    target: order,
    patch: { weight },
    wanted: `weight ${weight}`,
    seenIn: (server) => ({ isApplied: server.weight === weight, seen: `weight ${server.weight}` }),
  };
}

const webSocketsOrder = (target: EmbeddedTarget): Order => ({
  target,
  patch: { webSockets: 0 },
  wanted: 'no WebSockets',
  seenIn: ({ webSockets }) => ({ isApplied: webSockets === 0, seen: `${webSockets} WebSockets` }),
});

/** Of a weight the percentage: the configured weight is not known before the balancer is asked. */
function describePatch(targets: readonly EmbeddedTarget[], change: Change): string {
  const told = typeof change.to === 'number' ? { weight: `${change.to}%` } : { rotation: change.to };
  return JSON.stringify(Object.fromEntries(ordersOf(targets, [change]).map(({ server }) => [server, told])));
}

type Question =
  | { readonly method: 'GET' }
  | { readonly method: 'PATCH'; readonly body: Patch }
  | { readonly method: 'PATCH'; readonly path: '/pool'; readonly body: { readonly to: PoolName } };
type Patch = Readonly<Record<string, Partial<Pick<AnsweredServer, 'rotation' | 'weight' | 'webSockets'>>>>;

const patchOf = (orders: readonly Order[]): Patch =>
  Object.fromEntries(orders.map(({ target, patch }) => [target.server, patch]));

/**
 * Asks for all servers, or changes some and gets all as they are then. The cause of a failure is left out: got's
 * errors hold the request, and with it the token.
 */
async function ask(
  balancer: BalancerName,
  { url, token, timeout }: EmbeddedOptions,
  question: Question,
  signal?: AbortSignal,
): Promise<Answer> {
  const { got } = await import('got');
  const unreachable = (reason: string) => failure('BALANCER_UNREACHABLE', { balancer, address: url, reason });
  const path = 'path' in question ? question.path : '/servers';
  const answer = await got(`${url}${path}`, {
    method: question.method,
    headers: { authorization: `Bearer ${token.reveal()}` },
    ...(question.method === 'PATCH' ? { json: question.body } : {}),
    ...(signal ? { signal } : {}),
    timeout: { request: timeout },
    retry: { limit: 0 },
    throwHttpErrors: false,
    followRedirect: false,
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw unreachable(messageOf(error));
  });
  if (answer.statusCode !== 200) {
    const request = `${question.method} ${url}${path}`;
    throw failure('BALANCER_REFUSED', {
      balancer,
      request,
      answer: `${answer.statusCode} ${answer.body.trim().slice(0, 200)}`,
    });
  }
  const read = answerField.parse(jsonIn(answer.body), '');
  if (!read.ok) throw unreachable(`its answer is not that of an admin API (${read.problems.join('; ')})`);
  return read.value;
}

interface Answer {
  readonly incarnation: string;
  /** Requests that no server could take. */
  readonly unserved: number;
  readonly pool: PoolName | null;
  readonly noticesDeadWithinMs: number | null;
  readonly servers: readonly AnsweredServer[];
}

interface AnsweredServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly configuredWeight: number;
  readonly rotation: ServerState['rotation'];
  readonly health: ServerState['health'];
  /** WebSockets among them. */
  readonly inFlight: number;
  readonly webSockets: number;
  readonly requests: number;
  readonly answered: number;
  readonly failures: number;
  readonly refused: number;
  readonly responseMs: number | null;
}

const natural = integer(0, Number.MAX_SAFE_INTEGER);
const time: Field<number | null> = scalar('milliseconds or null', { type: ['number', 'null'] }, (value) =>
  value === null || (typeof value === 'number' && value >= 0) ? value : undefined,
);

const answerField: Field<Answer> = objectOf<Answer>({
  incarnation: text,
  unserved: natural,
  pool: optional(text),
  noticesDeadWithinMs: optional(natural),
  servers: listOf(
    objectOf<AnsweredServer>({
      name: text,
      host: text,
      port,
      weight: natural,
      configuredWeight: natural,
      rotation: oneOf(['in', 'draining', 'out']),
      health: oneOf(['up', 'down', 'starting', 'unchecked']),
      inFlight: natural,
      webSockets: natural,
      requests: natural,
      answered: natural,
      failures: natural,
      refused: natural,
      responseMs: time,
    }),
  ),
});

function reasonUnread(error: unknown): string {
  if (isDeployError(error, 'BALANCER_UNREACHABLE')) return String(error.details.reason);
  if (isDeployError(error, 'BALANCER_REFUSED')) return `it answered ${error.details.answer}`;
  throw error;
}

/** Of each target what `show` says; nothing, if the balancer could not be read: then `seen` says why. */
function viewOf<T>(
  balancer: BalancerName,
  { url }: EmbeddedOptions,
  targets: readonly EmbeddedTarget[],
  seen: Answer | string,
  show: (server: AnsweredServer) => T,
): {
  readonly members: readonly BalancerState[];
  readonly servers: readonly (T & Pick<ServerState, 'balancer' | 'member' | 'node' | 'server'>)[];
} {
  if (typeof seen === 'string') {
    return {
      members: [{ balancer, member: url, unreachable: seen, incarnation: '', pool: null }],
      servers: [],
    };
  }
  const { incarnation, pool, noticesDeadWithinMs } = seen;
  return {
    members: [{ balancer, member: url, unreachable: null, incarnation, pool, noticesDeadWithinMs }],
    servers: targets.map((target) => ({
      balancer,
      member: url,
      node: target.node,
      server: target.id,
      ...show(found(balancer, target, seen)),
    })),
  };
}

const stateOf = (server: AnsweredServer) => ({
  rotation: rotationOf(server),
  health: server.health,
  sessions: server.inFlight,
  weight: percentOf({ now: server.weight, configured: server.configuredWeight }),
});

const countsOf = ({ answered, failures, refused, responseMs }: AnsweredServer): { answers: Answers } => ({
  answers: { requests: answered, errors: failures, refused, responseMs },
});

function found(
  balancer: BalancerName,
  { node, server }: EmbeddedTarget,
  { servers }: Answer,
): AnsweredServer {
  const one = servers.find(({ name }) => name === server);
  if (one) return one;
  const known = servers.map(({ name }) => name);
  throw failure('BALANCER_SERVER_UNKNOWN', { balancer, server, node, known });
}

/** A server without weight gets no requests, whatever its rotation is said to be. */
const rotationOf = ({ rotation, weight }: AnsweredServer): ServerState['rotation'] =>
  rotation === 'in' && weight === 0 ? 'draining' : rotation;

function mustBeApplied(
  balancer: BalancerName,
  { target, wanted, seenIn }: Order,
  server: AnsweredServer,
): void {
  const { isApplied, seen } = seenIn(server);
  if (!isApplied) throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted, seen });
}
