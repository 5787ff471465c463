import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PoolServer, recordCheck } from '../../src/sandbox/balancer-pool.ts';
import { createProxy } from '../../src/sandbox/balancer-proxy.ts';

/**
 * What stands behind the API of a hosted balancer in tests: real requests go through it to real servers, so drains, requests in
 * flight and flips are real. `servers` is read at each request, and may change.
 */
export interface DataPlane {
  readonly servers: PoolServer[];
  /** Opens a port; each request goes to the servers of the pool that `poolFor` names for its path, or to all if it is null. */
  listen(poolFor?: (path: string) => string | null): Promise<string>;
  close(): void;
}

export function startDataPlane(): DataPlane {
  const servers: PoolServer[] = [];
  const stopping = new AbortController();
  const closers: (() => void)[] = [];
  void keepChecking(servers, stopping.signal);
  return {
    servers,
    async listen(poolFor = () => null) {
      let pool: string | null = null;
      const proxy = createProxy(servers);
      const all = proxy.front((server) => server.pool === null || server.pool === pool);
      const front = await listening((request, response) => {
        // Chosen for this request at once: the proxy asks for the pool before anything else happens.
        pool = poolFor(request.url ?? '/');
        all.handle(request, response);
      });
      closers.push(() => {
        front.server.close();
        front.server.closeAllConnections();
        proxy.close();
      });
      return front.url;
    },
    close() {
      stopping.abort();
      for (const close of closers) close();
    },
  };
}

export const newServer = (
  server: Pick<PoolServer, 'name' | 'host' | 'port' | 'pool'> & Partial<PoolServer>,
): PoolServer => ({
  configuredWeight: 1,
  weight: 1,
  rotation: 'out',
  health: 'starting',
  inFlight: 0,
  requests: 0,
  answered: 0,
  failures: 0,
  refused: 0,
  responseMs: null,
  streak: 0,
  credit: 0,
  ...server,
});

export async function listening(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  port = 0,
): Promise<{ readonly server: Server; readonly url: string; readonly port: number }> {
  const server = createServer(handle);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const at = (server.address() as AddressInfo).port;
  return { server, url: `http://127.0.0.1:${at}`, port: at };
}

/** Ends all that is under way, as a machine does that goes down. */
export const stopped = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const checkEveryMs = 40;

async function keepChecking(servers: readonly PoolServer[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const checked = servers.filter(({ health, rotation }) => health !== 'unchecked' && rotation !== 'out');
    await Promise.all(
      checked.map(async (server) => recordCheck(server, await isHealthy(server), { rise: 1, fall: 1 })),
    );
    await sleep(checkEveryMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

const isHealthy = ({ host, port }: PoolServer): Promise<boolean> =>
  new Promise((resolve) => {
    const question = get({ host, port, path: '/health', agent: false, timeout: 1000 }, (answer) => {
      answer.resume().on('error', () => {});
      resolve(answer.statusCode === 200);
    });
    question.on('error', () => resolve(false));
  });
