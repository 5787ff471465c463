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
  port,
  scalar,
  secret,
  text,
  withDefault,
} from '../../core/field.ts';
import type { NodeName } from '../../core/node.ts';
import type { ServerState } from '../../core/observation.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerView } from '../../ports.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';

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
): Balancer => ({
  name: balancer,
  capabilities: { drain: 'hard', sessions: 'exact', weights: true },
  async observe(signal) {
    const seen = await ask(balancer, options, { method: 'GET' }, signal).catch(reasonUnread);
    return typeof seen === 'string'
      ? unread(balancer, options, seen)
      : viewOf(balancer, options, targets, seen);
  },
  async change(changes, signal) {
    mustBeKnown(balancer, targets, changes);
    const orders = ordersOf(targets, changes);
    const before = await ask(balancer, options, { method: 'GET' }, signal);
    for (const order of orders) found(balancer, order, before);
    const after = await ask(balancer, options, { method: 'PATCH', body: patchOf(orders) }, signal);
    for (const order of orders) mustBeApplied(balancer, order, after);
  },
  describe: (change) =>
    `PATCH ${options.url}/servers ${JSON.stringify(patchOf(ordersOf(targets, [change])))}`,
  async close() {},
});

type Question = { readonly method: 'GET' } | { readonly method: 'PATCH'; readonly body: Patch };
type Patch = Readonly<Record<string, Pick<ServerState, 'rotation'>>>;

const patchOf = (orders: readonly Ordered<EmbeddedTarget>[]): Patch =>
  Object.fromEntries(orders.map(({ server, to }) => [server, { rotation: to }]));

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
  const answer = await got(`${url}/servers`, {
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
    const request = `${question.method} ${url}/servers`;
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
  readonly servers: readonly AnsweredServer[];
}

interface AnsweredServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly rotation: ServerState['rotation'];
  readonly health: ServerState['health'];
  readonly inFlight: number;
  readonly requests: number;
  readonly failures: number;
}

const natural = integer(0, Number.MAX_SAFE_INTEGER);

const answerField: Field<Answer> = objectOf<Answer>({
  incarnation: text,
  unserved: natural,
  servers: listOf(
    objectOf<AnsweredServer>({
      name: text,
      host: text,
      port,
      weight: natural,
      rotation: oneOf(['in', 'draining', 'out']),
      health: oneOf(['up', 'down', 'starting', 'unchecked']),
      inFlight: natural,
      requests: natural,
      failures: natural,
    }),
  ),
});

function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function reasonUnread(error: unknown): string {
  if (isDeployError(error, 'BALANCER_UNREACHABLE')) return String(error.details.reason);
  if (isDeployError(error, 'BALANCER_REFUSED')) return `it answered ${error.details.answer}`;
  throw error;
}

const unread = (balancer: BalancerName, { url }: EmbeddedOptions, reason: string): BalancerView => ({
  members: [{ balancer, member: url, unreachable: reason, incarnation: '' }],
  servers: [],
});

const viewOf = (
  balancer: BalancerName,
  { url }: EmbeddedOptions,
  targets: readonly EmbeddedTarget[],
  answer: Answer,
): BalancerView => ({
  members: [{ balancer, member: url, unreachable: null, incarnation: answer.incarnation }],
  servers: targets.map((target) => {
    const server = found(balancer, target, answer);
    return {
      balancer,
      member: url,
      node: target.node,
      server: target.id,
      rotation: rotationOf(server),
      health: server.health,
      sessions: server.inFlight,
    };
  }),
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

function mustBeApplied(balancer: BalancerName, order: Ordered<EmbeddedTarget>, answer: Answer): void {
  const server = found(balancer, order, answer);
  const rotation = rotationOf(server);
  if (rotation === order.to) return;
  const seen = server.weight === 0 ? `${rotation} (its weight is 0)` : rotation;
  throw failure('BALANCER_NOT_APPLIED', { balancer, server: order.id, wanted: order.to, seen });
}
