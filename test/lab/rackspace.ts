import type { IncomingMessage, ServerResponse } from 'node:http';
import { type PoolServer, setRotation } from '../../src/sandbox/balancer-pool.ts';
import { bodyOf, listening, newServer, startDataPlane, stopped } from './data-plane.ts';

/**
 * Cloud Load Balancers as Rackspace's API (v1.0) describes them, with requests that really go through them: a token first; and a
 * load balancer that was told something is PENDING_UPDATE, and immutable, until it does it.
 */
export async function startRackspace(
  balancers: Readonly<Record<number, readonly { readonly host: string; readonly port: number }[]>>,
): Promise<FakeRackspace> {
  const plane = startDataPlane();
  const all = Object.entries(balancers).map(
    ([id, nodes]): LoadBalancer => ({
      id: Number(id),
      status: 'ACTIVE',
      nodes: nodes.map(({ host, port }, i) => ({
        id: 100 * Number(id) + i,
        condition: 'ENABLED',
        server: newServer({ name: `${id} ${host}:${port}`, host, port, pool: id }),
      })),
    }),
  );
  for (const { server } of all.flatMap(({ nodes }) => nodes)) {
    plane.servers.push(server);
    setRotation(server, 'in');
  }
  const urls = await Promise.all(all.map(({ id }) => plane.listen(() => String(id))));
  const timers = new Set<NodeJS.Timeout>();
  let tokens = new Map<string, User>();
  let given = 0;
  let limited = 0;
  const tell = (balancer: LoadBalancer, node: FakeNode, condition: Condition): void => {
    node.condition = condition;
    balancer.status = 'PENDING_UPDATE';
    const timer = setTimeout(() => {
      timers.delete(timer);
      setRotation(node.server, rotations[condition]);
      if (balancer.status === 'PENDING_UPDATE') balancer.status = 'ACTIVE';
    }, pendingMs);
    timers.add(timer);
  };
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const body = await bodyOf(request);
    if (limited > 0) {
      limited -= 1;
      return { ...refusal(413, 'OverLimit Retry...'), headers: { 'retry-after': '1' } };
    }
    if (request.url === '/v2.0/tokens') {
      const { username, apiKey } = JSON.parse(body).auth['RAX-KSKEY:apiKeyCredentials'];
      if (rackspaceKeys[username as User] !== apiKey)
        return refusal(401, 'Unable to authenticate user with credentials provided.');
      given += 1;
      tokens.set(`token-${given}`, username);
      return { status: 200, body: { access: { token: { id: `token-${given}` } } } };
    }
    const user = tokens.get(String(request.headers['x-auth-token']));
    if (user === undefined) return refusal(401, 'Unauthorized');
    const [, id, inNodes, nodeId] =
      /^\/v1\.0\/123456\/loadbalancers\/(\d+)(\/nodes)?(?:\/(\d+))?$/.exec(request.url ?? '') ?? [];
    const balancer = all.find((one) => one.id === Number(id));
    if (!balancer) return refusal(404, 'Load balancer not found');
    if (!inNodes)
      return { status: 200, body: { loadBalancer: { id: balancer.id, status: balancer.status } } };
    if (nodeId === undefined) return { status: 200, body: { nodes: balancer.nodes.map(shownNode) } };
    const node = balancer.nodes.find((one) => one.id === Number(nodeId));
    if (!node) return refusal(404, 'Node not found');
    if (request.method !== 'PUT') return refusal(405, 'Method Not Allowed');
    if (user !== 'owner') return refusal(403, 'Forbidden');
    if (balancer.status !== 'ACTIVE')
      return refusal(
        422,
        `Load Balancer '${balancer.id}' has a status of '${balancer.status}' and is considered immutable.`,
      );
    const { condition } = JSON.parse(body).node as { readonly condition: Condition };
    if (!(condition in rotations)) return refusal(400, 'Validation Failure');
    tell(balancer, node, condition);
    return { status: 202, body: null };
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request).then(({ status, body, headers }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(body === null ? '' : JSON.stringify(body));
    });
  };
  let api = await listening(handle);
  const { port, url } = api;
  return {
    url: `${url}/v1.0/123456`,
    identity: `${url}/v2.0`,
    urls,
    tokensGiven: () => given,
    expireTokens() {
      tokens = new Map();
    },
    limitNext: (count) => {
      limited = count;
    },
    breakBalancer(id) {
      all.find((one) => one.id === id)!.status = 'ERROR';
    },
    stopApi: () => stopped(api.server),
    async restartApi() {
      await stopped(api.server);
      api = await listening(handle, port);
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await stopped(api.server);
      plane.close();
    },
  };
}

export interface FakeRackspace {
  readonly url: string;
  readonly identity: string;
  /** Of each load balancer. */
  readonly urls: readonly string[];
  tokensGiven(): number;
  expireTokens(): void;
  /** The next so many questions are too many, for a second. */
  limitNext(count: number): void;
  /** It is in status ERROR from now on. */
  breakBalancer(id: number): void;
  stopApi(): Promise<void>;
  restartApi(): Promise<void>;
  close(): Promise<void>;
}

/** The owner may write, the reader not. */
export const rackspaceKeys = { owner: 'owner-key', reader: 'reader-key' } as const;
type User = keyof typeof rackspaceKeys;

const pendingMs = 30;

const rotations = { ENABLED: 'in', DRAINING: 'draining', DISABLED: 'out' } as const;
type Condition = keyof typeof rotations;

interface LoadBalancer {
  readonly id: number;
  status: 'ACTIVE' | 'PENDING_UPDATE' | 'ERROR';
  readonly nodes: readonly FakeNode[];
}

/** Its condition is what it was told; its server follows when the load balancer is ACTIVE again. */
interface FakeNode {
  readonly id: number;
  condition: Condition;
  readonly server: PoolServer;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const refusal = (code: number, message: string): Answer => ({ status: code, body: { message, code } });

const shownNode = ({ id, condition, server: { host, port, health } }: FakeNode) => ({
  id,
  address: host,
  port,
  condition,
  type: 'PRIMARY',
  status: health === 'up' ? 'ONLINE' : 'OFFLINE',
});
