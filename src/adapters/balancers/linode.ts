import { type DeployError, failure } from '../../core/errors.ts';
import {
  describe,
  type Field,
  integer,
  listOf,
  mapOf,
  oneOf,
  oneOrMore,
  optional,
  port,
  secret,
  text,
  withDefault,
} from '../../core/field.ts';
import type { NodeName } from '../../core/node.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import {
  hostedBalancer,
  hostedCapabilities,
  type PlacedTarget,
  placedTargets,
  settle,
  settled,
  slowest,
  type TargetState,
  timeout,
} from './hosted.ts';
import { type HostedQuestion, hostedHttp, shownAnswer } from './hosted-http.ts';
import { httpUrl, jsonIn, someOf } from './json.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import type { Ordered } from './target.ts';

const capabilities = { ...hostedCapabilities, drain: 'both' } as const;

/**
 * A NodeBalancer of Linode (API v4). It has a node for each port and machine, each with a mode: `drain` lets sticky clients
 * come, `reject` nobody. How many requests are in flight at a node it does not say.
 */
export const linode: BalancerKind = balancerKind<LinodeOptions>({
  summary: 'A NodeBalancer of Linode, over its API.',
  options: {
    nodebalancer: describe('The id of the NodeBalancer.', integer(1, Number.MAX_SAFE_INTEGER)),
    ports: describe(
      'The ports of the NodeBalancer on which the site is served, such as [80, 443]: a node leaves on all of them.',
      oneOrMore(port),
    ),
    servers: describe(
      "The label or the address of a node at the NodeBalancer, where it differs from the node's name.",
      withDefault(mapOf(text, 'the name of a node'), {}),
    ),
    token: describe('A personal access token that may read and write NodeBalancers.', secret),
    settle,
    url: describe(
      'Where the API is.',
      withDefault(httpUrl, 'https://api.linode.com/v4', 'https://api.linode.com/v4'),
    ),
    timeout,
  },
  capabilities,
  create({ name: balancer, options, nodes }) {
    const ask = asking(balancer, options);
    return hostedBalancer<PlacedTarget, readonly PortReading[]>({
      balancer,
      address: new URL(options.url).host,
      targets: placedTargets(balancer, options.ports, options.servers, nodes),
      capabilities: { ...capabilities, settleMs: options.settle },
      read: portReader(balancer, options, ask),
      stateOf: (target, reading) => stateOf(balancer, target, reading),
      async send(orders, reading, signal) {
        await settled(orders.map((order) => ask(putOf(balancer, options, order, reading), signal)));
      },
      describe: ({ to, node, server, place }) => `PUT port ${place} ${server} mode ${modes[to]} (${node})`,
      noticesDeadWithinMs: (reading) => slowest(reading.map(noticesDeadWithinMs)),
      flips: null,
      close: () => {},
    });
  },
});

interface LinodeOptions {
  readonly nodebalancer: number;
  readonly ports: readonly number[];
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly token: Secret;
  readonly settle: number;
  readonly url: string;
  readonly timeout: number;
}

type Ask = (question: HostedQuestion, signal?: AbortSignal) => Promise<unknown>;

/** Rejects with `BALANCER_REFUSED` where the answer is not 200. */
function asking(balancer: BalancerName, { url, token, timeout }: LinodeOptions): Ask {
  const http = hostedHttp(balancer, timeout);
  return async (question, signal) => {
    const headers = { authorization: `Bearer ${token.reveal()}` };
    const answer = await http.ask({ ...question, headers }, signal);
    if (answer.status === 200) return jsonIn(answer.text);
    const request = `${question.method} ${question.url.slice(url.length)}`;
    throw failure('BALANCER_REFUSED', { balancer, request, answer: shownAnswer(answer) });
  };
}

/** What the NodeBalancer does on one port. */
interface PortReading extends PortConfig {
  readonly nodes: readonly LinodeNode[];
}

/** Which configs there are is asked once, how their nodes are each time. */
function portReader(
  balancer: BalancerName,
  options: LinodeOptions,
  ask: Ask,
): (signal?: AbortSignal) => Promise<readonly PortReading[]> {
  const base = baseOf(options);
  let configs: readonly PortConfig[] | null = null;
  return async (signal) => {
    configs ??= await configsOf(balancer, options, ask, signal);
    return Promise.all(
      configs.map(async (config) => ({
        ...config,
        nodes: await pagesOf(balancer, ask, `${base}/configs/${config.id}/nodes`, linodeNode, signal),
      })),
    );
  };
}

const baseOf = ({ url, nodebalancer }: LinodeOptions): string => `${url}/nodebalancers/${nodebalancer}`;

async function configsOf(
  balancer: BalancerName,
  options: LinodeOptions,
  ask: Ask,
  signal?: AbortSignal,
): Promise<readonly PortConfig[]> {
  const all = await pagesOf(balancer, ask, `${baseOf(options)}/configs`, portConfig, signal);
  const missing = options.ports.find((at) => !all.some((config) => config.port === at));
  if (missing === undefined) return all.filter((config) => options.ports.includes(config.port));
  throw failure('BALANCER_REFUSED', {
    balancer,
    request: `port ${missing}`,
    answer: `NodeBalancer ${options.nodebalancer} has ports ${all.map((config) => config.port).join(', ')}`,
  });
}

/** All entries of a list that the API gives page by page (API v4, Pagination). */
async function pagesOf<T>(
  balancer: BalancerName,
  ask: Ask,
  url: string,
  entry: Field<T>,
  signal?: AbortSignal,
): Promise<readonly T[]> {
  const field = someOf({ data: listOf(entry), pages: integer(1, 10_000) });
  const entries: T[] = [];
  for (let page = 1, pages = 1; page <= pages; page++) {
    const read = field.parse(
      await ask({ method: 'GET', url: `${url}?page=${page}&page_size=100` }, signal),
      '',
    );
    if (!read.ok)
      throw failure('BALANCER_UNREACHABLE', {
        balancer,
        address: url,
        reason: `its answer is not that of a NodeBalancer (${read.problems.join('; ')})`,
      });
    entries.push(...read.value.data);
    pages = read.value.pages;
  }
  return entries;
}

interface PortConfig {
  readonly id: number;
  readonly port: number;
  /** `none`: nodes are not checked. */
  readonly check: string;
  /** In seconds; null where it is not said. */
  readonly check_interval: number | null;
  /** So many failures in a row make a node `DOWN`. */
  readonly check_attempts: number | null;
}

const id = integer(1, Number.MAX_SAFE_INTEGER);
const portConfig: Field<PortConfig> = someOf<PortConfig>({
  id,
  port,
  check: text,
  check_interval: optional(integer(0, 86_400)),
  check_attempts: optional(integer(0, 1000)),
});

const noticesDeadWithinMs = ({ check, check_interval: every, check_attempts: failures }: PortConfig) =>
  check === 'none' || every === null || failures === null ? null : every * failures * 1000;

interface LinodeNode {
  readonly id: number;
  readonly label: string;
  /** With its port. */
  readonly address: string;
  readonly mode: keyof typeof rotations;
  readonly status: string;
}

/** A backup gets requests only where no other node is up: it is as good as out. */
const rotations = { accept: 'in', drain: 'draining', reject: 'out', backup: 'out' } as const;

const linodeNode: Field<LinodeNode> = someOf<LinodeNode>({
  id,
  label: text,
  address: text,
  mode: oneOf(Object.keys(rotations) as (keyof typeof rotations)[]),
  status: text,
});

function stateOf(balancer: BalancerName, target: PlacedTarget, reading: readonly PortReading[]): TargetState {
  const { check, node } = found(balancer, target, reading);
  return {
    rotation: rotations[node.mode],
    health: check === 'none' ? 'unchecked' : (healths[node.status] ?? 'starting'),
    sessions: null,
  };
}

const healths: Readonly<Record<string, TargetState['health']>> = { UP: 'up', DOWN: 'down' };

function found(
  balancer: BalancerName,
  { node, place, server }: PlacedTarget,
  reading: readonly PortReading[],
): PortConfig & { readonly node: LinodeNode } {
  const config = reading.find((one) => one.port === place)!;
  const known = config.nodes.find(
    ({ label, address }) => label === server || address === server || address.replace(/:\d+$/, '') === server,
  );
  if (known) return { ...config, node: known };
  throw unknownNode(balancer, { node, server }, config);
}

const unknownNode = (
  balancer: BalancerName,
  named: { readonly node: NodeName; readonly server: string },
  { nodes }: PortReading,
): DeployError =>
  failure('BALANCER_SERVER_UNKNOWN', { balancer, ...named, known: nodes.map(({ label }) => label) });

/** Only the mode: what is not sent stays as it is. */
function putOf(
  balancer: BalancerName,
  options: LinodeOptions,
  order: Ordered<PlacedTarget>,
  reading: readonly PortReading[],
): HostedQuestion {
  const { id: config, node } = found(balancer, order, reading);
  return {
    method: 'PUT',
    url: `${baseOf(options)}/configs/${config}/nodes/${node.id}`,
    json: { mode: modes[order.to] },
  };
}

const modes = { in: 'accept', draining: 'drain', out: 'reject' } as const;
