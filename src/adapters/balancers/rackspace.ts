import { failure } from '../../core/errors.ts';
import {
  describe,
  type Field,
  integer,
  listOf,
  mapOf,
  oneOf,
  oneOrMore,
  port,
  secret,
  text,
  withDefault,
} from '../../core/field.ts';
import type { NodeName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import {
  hostedBalancer,
  hostedCapabilities,
  type PlacedTarget,
  placedTargets,
  settle,
  settled,
  type TargetState,
  timeout,
} from './hosted.ts';
import { httpUrl, someOf } from './json.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import {
  busyLooksMax,
  pause,
  type RackspaceAccess,
  type RackspaceApi,
  rackspaceApi,
} from './rackspace-api.ts';
import type { Ordered } from './target.ts';

const identityUrl = 'https://identity.api.rackspacecloud.com/v2.0';

const capabilities = { ...hostedCapabilities, drain: 'soft' } as const;

/**
 * A Cloud Load Balancer of Rackspace (API v1.0). A node leaves by the condition DRAINING, which sticky clients do not
 * heed. It is never told DISABLED, which cuts off what is in flight.
 */
export const rackspace: BalancerKind = balancerKind<RackspaceOptions>({
  summary: 'A Cloud Load Balancer of Rackspace, over its API.',
  options: {
    loadBalancer: describe(
      'The id of the load balancer, or a list of such (one for port 80, one for 443).',
      oneOrMore(integer(1, Number.MAX_SAFE_INTEGER)),
    ),
    servers: describe(
      "The address of a node at the load balancer, where it differs from the node's name.",
      withDefault(mapOf(text, 'the name of a node'), {}),
    ),
    url: describe(
      'Where the API is, with the account: https://lon.loadbalancers.api.rackspacecloud.com/v1.0/123456.',
      httpUrl,
    ),
    identity: describe('Where tokens are given out.', withDefault(httpUrl, identityUrl, identityUrl)),
    username: describe('Whose API key it is.', text),
    apiKey: describe('The API key.', secret),
    settle,
    timeout,
  },
  capabilities,
  create({ name: balancer, options, nodes }) {
    const api = rackspaceApi(balancer, options);
    return hostedBalancer<PlacedTarget, readonly Reading[]>({
      balancer,
      address: new URL(options.url).host,
      targets: placedTargets(balancer, options.loadBalancer, options.servers, nodes),
      capabilities: { ...capabilities, settleMs: options.settle },
      read: (signal) =>
        Promise.all(
          options.loadBalancer.map(async (id) => ({ id, nodes: await nodesOf(balancer, api, id, signal) })),
        ),
      stateOf: (target, reading) => stateOf(balancer, target, reading),
      send: (orders, reading, signal) => send(balancer, api, { orders, reading }, signal),
      describe: ({ to, node, place, server }) =>
        `PUT load balancer ${place} ${server} condition ${conditions[to]} (${node})`,
      flips: null,
      close: () => {},
    });
  },
});

interface RackspaceOptions extends RackspaceAccess {
  readonly loadBalancer: readonly number[];
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly settle: number;
}

interface Reading {
  readonly id: number;
  readonly nodes: readonly RackspaceNode[];
}

interface RackspaceNode {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly condition: keyof typeof rotations;
  readonly status: string;
}

const rotations = { ENABLED: 'in', DRAINING: 'draining', DISABLED: 'out' } as const;
const conditions = { in: 'ENABLED', draining: 'DRAINING', out: 'DRAINING' } as const;

const nodesField = someOf({
  nodes: listOf<RackspaceNode>(
    someOf<RackspaceNode>({
      id: integer(1, Number.MAX_SAFE_INTEGER),
      address: text,
      port,
      condition: oneOf(Object.keys(rotations) as (keyof typeof rotations)[]),
      status: text,
    }),
  ),
});

const nodesOf = async (
  balancer: BalancerName,
  api: RackspaceApi,
  id: number,
  signal?: AbortSignal,
): Promise<readonly RackspaceNode[]> => {
  const path = `/loadbalancers/${id}/nodes`;
  return (await parsedAs(balancer, api, path, nodesField, signal)).nodes;
};

async function parsedAs<T>(
  balancer: BalancerName,
  api: RackspaceApi,
  path: string,
  field: Field<T>,
  signal?: AbortSignal,
): Promise<T> {
  const read = field.parse(await api.ask({ method: 'GET', path }, signal), '');
  if (read.ok) return read.value;
  const reason = `its answer is not that of a Cloud Load Balancer (${read.problems.join('; ')})`;
  throw failure('BALANCER_UNREACHABLE', { balancer, address: path, reason });
}

const stateOf = (balancer: BalancerName, target: PlacedTarget, reading: readonly Reading[]): TargetState => {
  const { condition, status } = found(balancer, target, reading);
  return { rotation: rotations[condition], health: status === 'ONLINE' ? 'up' : 'down', sessions: null };
};

function found(
  balancer: BalancerName,
  { node, place, server }: PlacedTarget,
  reading: readonly Reading[],
): RackspaceNode {
  const { nodes } = reading.find(({ id }) => id === place)!;
  const known = nodes.find((one) => one.address === server || shown(one) === server);
  if (known) return known;
  throw failure('BALANCER_SERVER_UNKNOWN', { balancer, server, node, known: nodes.map(shown) });
}

const shown = ({ address, port: at }: RackspaceNode): string => `${address}:${at}`;

/**
 * One change after the other at each load balancer, which takes no other before one is made. What it took is so once it
 * is ACTIVE again.
 */
const send = (
  balancer: BalancerName,
  api: RackspaceApi,
  {
    orders,
    reading,
  }: { readonly orders: readonly Ordered<PlacedTarget>[]; readonly reading: readonly Reading[] },
  signal?: AbortSignal,
): Promise<void> =>
  settled(
    reading.map(async ({ id }) => {
      const own = orders.filter(({ place }) => place === id);
      for (const order of own) {
        const path = `/loadbalancers/${id}/nodes/${found(balancer, order, reading).id}`;
        const json = { node: { condition: conditions[order.to] } };
        await api.ask({ method: 'PUT', path, json }, signal);
      }
      if (own.length > 0) await untilActive(balancer, api, `/loadbalancers/${id}`, signal);
    }),
  );

const statusField = someOf({ loadBalancer: someOf({ status: text }) });

/** Rejects with `BALANCER_NOT_APPLIED` if that takes longer than half a minute. */
async function untilActive(
  balancer: BalancerName,
  api: RackspaceApi,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  let status = '';
  for (let look = 1; look <= busyLooksMax; look++) {
    ({ status } = (await parsedAs(balancer, api, path, statusField, signal)).loadBalancer);
    if (status === 'ACTIVE') return;
    await pause(signal);
  }
  throw failure('BALANCER_NOT_APPLIED', { balancer, server: path, wanted: 'ACTIVE', seen: status });
}
