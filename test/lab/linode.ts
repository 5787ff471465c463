import type { IncomingMessage, ServerResponse } from 'node:http';
import { type PoolServer, setRotation } from '../../src/sandbox/balancer-pool.ts';
import { bodyOf, listening, newServer, startDataPlane, stopped } from './data-plane.ts';

/**
 * A NodeBalancer as Linode's API v4 describes it, with requests that really go through it: page by page, at a limited rate, and to whoever
 * has a token.
 */
export async function startLinode(configs: readonly FakeConfig[]): Promise<FakeLinode> {
  const plane = startDataPlane();
  const ports = configs.map((config, i) => ({
    ...config,
    id: i + 1,
    nodes: config.nodes.map((node, j): FakeNode => {
      const [host = '', port] = node.address.split(':');
      const pool = `config ${i + 1}`;
      const server = newServer({ name: `${pool} ${node.label}`, host, port: Number(port), pool });
      return { ...node, id: 1000 * (i + 1) + j, server };
    }),
  }));
  for (const node of ports.flatMap(({ nodes }) => nodes)) {
    plane.servers.push(node.server);
    setMode(node, node.mode);
  }
  const urls = await Promise.all(ports.map(({ id }) => plane.listen(() => `config ${id}`)));
  let limited = 0;
  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const body = await bodyOf(request);
    if (limited > 0) {
      limited -= 1;
      return refusal(429, 'Too many requests', { 'retry-after': '1' });
    }
    const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const mayWrite = linodeTokens[token as keyof typeof linodeTokens];
    if (mayWrite === undefined) return refusal(401, 'Invalid Token');
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const [, config, inNodes, node] =
      /^\/v4\/nodebalancers\/7\/configs(?:\/(\d+)(\/nodes)(?:\/(\d+))?)?$/.exec(pathname) ?? ['', 'none'];
    if (config === undefined) return pageOf(ports.map(shownConfig), searchParams);
    const found = ports.find(({ id }) => id === Number(config));
    if (!found || !inNodes) return refusal(404, 'Not found');
    if (node === undefined) return pageOf(found.nodes.map(shownNode), searchParams);
    const one = found.nodes.find(({ id }) => id === Number(node));
    if (!one) return refusal(404, 'Not found');
    if (request.method === 'GET') return { status: 200, body: shownNode(one) };
    if (request.method !== 'PUT') return refusal(405, 'Method Not Allowed');
    if (!mayWrite) return refusal(401, 'Your OAuth token is not authorized to use this endpoint.');
    const { mode = one.mode } = JSON.parse(body) as { readonly mode?: Mode };
    if (!modes.includes(mode)) return refusal(400, 'Must be one of accept, reject, drain, backup');
    setMode(one, mode);
    return { status: 200, body: shownNode(one) };
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request).then(({ status, body, headers }) => {
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(body));
    });
  };
  let api = await listening(handle);
  const { port } = api;
  return {
    url: `${api.url}/v4`,
    urls,
    setMode(label, mode) {
      for (const { nodes } of ports) setMode(nodes.find((node) => node.label === label)!, mode);
    },
    limitNext: (count) => {
      limited = count;
    },
    stopApi: () => stopped(api.server),
    async restartApi() {
      await stopped(api.server);
      api = await listening(handle, port);
    },
    async close() {
      await stopped(api.server);
      plane.close();
    },
  };
}

export interface FakeConfig {
  readonly port: number;
  readonly check: 'none' | 'connection' | 'http' | 'http_body';
  readonly nodes: readonly { readonly label: string; readonly address: string; readonly mode: Mode }[];
}

export interface FakeLinode {
  readonly url: string;
  /** Of each config. */
  readonly urls: readonly string[];
  /** In every config. */
  setMode(label: string, mode: Mode): void;
  /** The next so many questions are too many, for a second. */
  limitNext(count: number): void;
  stopApi(): Promise<void>;
  restartApi(): Promise<void>;
  close(): Promise<void>;
}

/** Its NodeBalancer has the id 7. Who has the token may write, or only read. */
export const linodeTokens = { 'owner-token': true, 'reader-token': false } as const;

const modes = ['accept', 'reject', 'drain', 'backup'] as const;
type Mode = (typeof modes)[number];

interface FakeNode {
  readonly id: number;
  readonly label: string;
  readonly address: string;
  mode: Mode;
  readonly server: PoolServer;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const refusal = (status: number, reason: string, headers = {}): Answer => ({
  status,
  body: { errors: [{ reason }] },
  headers,
});

const rotations = { accept: 'in', drain: 'draining', reject: 'out', backup: 'out' } as const;

function setMode(node: FakeNode, mode: Mode): void {
  node.mode = mode;
  setRotation(node.server, rotations[mode]);
}

const shownConfig = ({ id, port, check }: FakeConfig & { readonly id: number }) => ({
  id,
  port,
  check,
  check_interval: 20,
  check_attempts: 4,
  protocol: 'http',
  algorithm: 'roundrobin',
  stickiness: 'none',
  nodebalancer_id: 7,
});

const shownNode = ({ id, label, address, mode, server }: FakeNode) => ({
  id,
  label,
  address,
  mode,
  weight: 100,
  status: server.health === 'starting' ? 'unknown' : server.health.toUpperCase(),
});

function pageOf(all: readonly unknown[], asked: URLSearchParams): Answer {
  const [page, size] = [Number(asked.get('page') ?? 1), Number(asked.get('page_size') ?? 100)];
  const pages = Math.max(1, Math.ceil(all.length / size));
  if (size < 25 || size > 500) return refusal(400, 'Must be 25-500');
  if (page < 1 || page > pages) return refusal(404, 'Not found');
  const data = all.slice((page - 1) * size, page * size);
  return { status: 200, body: { data, page, pages, results: all.length } };
}
