import { randomUUID } from 'node:crypto';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Secret } from '../core/secret.ts';
import { adminApi, type PoolPatch } from './balancer-admin.ts';
import { type HealthCheck, type PoolServer, recordCheck, setRotation } from './balancer-pool.ts';
import { createProxy, type Front } from './balancer-proxy.ts';
import { loadState, saveState } from './balancer-state.ts';

/**
 * The small balancer of the sandbox: a reverse proxy on a loopback port, and an admin API (`balancer-admin.ts`) on a
 * second one; where that is wanted, a third one shows the pool that gets no requests. Listens once every server was checked; the first check decides. Rejects if a port is taken, or the
 * state file cannot be read.
 */
export async function startBalancer(options: BalancerOptions): Promise<RunningBalancer> {
  const { check, stateFile } = options;
  const servers = options.servers.map((server) => newServer(server, check !== undefined));
  const pools = [...new Set(servers.flatMap(({ pool }) => pool ?? []))];
  let pool = (stateFile === undefined ? null : loadState(stateFile, servers)) ?? pools[0];
  const save = (): void => {
    if (stateFile !== undefined) saveState(stateFile, servers, pool);
  };
  const stopping = new AbortController();
  if (check) await watch(servers, check, stopping.signal);
  const proxy = createProxy(servers);
  const visitors = proxy.front((server) => server.pool === null || server.pool === pool);
  const previewers = proxy.front((server) => server.pool !== null && server.pool !== pool);
  const incarnation = randomUUID();
  const admin = adminApi(options.token, {
    view: () => ({
      incarnation,
      unserved: visitors.unserved(),
      pool,
      noticesDeadWithinMs: check && noticesDeadWithinMs(check),
      servers: servers.map((server) => ({ ...shownServer(server), webSockets: proxy.webSockets(server) })),
    }),
    names: () => servers.map(({ name }) => name),
    change: (patch) => {
      change(servers, patch);
      for (const server of servers) if (patch[server.name]?.webSockets === 0) proxy.closeWebSockets(server);
      save();
    },
    pools: () => pools,
    flip: (to) => {
      pool = to;
      save();
    },
  });
  const listening: Server[] = [];
  const close = async (): Promise<void> => {
    stopping.abort();
    proxy.retire();
    await Promise.all(listening.map(closeGently));
    proxy.close();
  };
  const open = async (front: Way, port = 0): Promise<string> => {
    const server = await listen(front, port);
    listening.push(server);
    return urlOf(server);
  };
  try {
    return {
      url: await open(visitors, options.port),
      adminUrl: await open({ handle: admin }, options.adminPort),
      previewUrl: options.previewPort === undefined ? null : await open(previewers, options.previewPort),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface BalancerOptions {
  /** 0 and the default: any free port. All are on the loopback address alone. */
  readonly port?: number;
  readonly adminPort?: number;
  /** Where requests go to the servers of the pools that get none of `port`; absent: nowhere. */
  readonly previewPort?: number;
  /** What the admin API asks for. */
  readonly token: Secret;
  /**
   * Weight: from 0 to 256, 100 by default, so that each percent of it can be set. Pool: the first one gets the requests
   * at the beginning.
   */
  readonly servers: readonly { name: string; host: string; port: number; weight?: number; pool?: string }[];
  /** Absent: servers are taken to be healthy. */
  readonly check?: HealthCheck;
  /** Keeps rotation, weights and pool over a restart of the balancer. */
  readonly stateFile?: string;
}

export interface RunningBalancer {
  readonly url: string;
  readonly adminUrl: string;
  readonly previewUrl: string | null;
  /** Takes no new connection, ends WebSockets, lets requests in flight end for at most 5 s, and stops. */
  close(): Promise<void>;
}

const newServer = (
  { name, host, port, weight = 100, pool }: BalancerOptions['servers'][number],
  checked: boolean,
): PoolServer => ({
  name,
  host,
  port,
  pool: pool ?? null,
  configuredWeight: weight,
  weight,
  rotation: 'in',
  health: checked ? 'starting' : 'unchecked',
  inFlight: 0,
  requests: 0,
  answered: 0,
  failures: 0,
  refused: 0,
  responseMs: null,
  streak: 0,
  credit: 0,
});

const shownServer = ({ streak: _streak, credit: _credit, pool: _pool, ...shown }: PoolServer) => shown;

function change(servers: readonly PoolServer[], patch: PoolPatch): void {
  for (const server of servers) {
    const { rotation, weight } = patch[server.name] ?? { rotation: null, weight: null };
    if (rotation !== null) setRotation(server, rotation);
    if (weight !== null) server.weight = weight;
  }
}

/** Checks every server until the signal. Resolves after the first round. */
async function watch(servers: readonly PoolServer[], check: HealthCheck, signal: AbortSignal): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      recordCheck(server, await isHealthy(server, check), { ...check, rise: 1 });
      void keepChecking(server, check, signal);
    }),
  );
}

async function keepChecking(server: PoolServer, check: HealthCheck, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(check.intervalMs, undefined, { signal, ref: false }).catch(() => {});
    if (!signal.aborted) recordCheck(server, await isHealthy(server, check), check);
  }
}

/** It answers with 2xx or 3xx, on a connection of its own, within a second. */
const isHealthy = ({ host, port }: PoolServer, { path }: HealthCheck): Promise<boolean> =>
  new Promise((resolve) => {
    const question = get(
      { host, port, path, agent: false, signal: AbortSignal.timeout(checkMsMax) },
      (answer) => {
        const { statusCode = 0 } = answer;
        answer.resume().on('error', () => {});
        resolve(statusCode >= 200 && statusCode < 400);
      },
    );
    question.on('error', () => resolve(false));
  });

const checkMsMax = 1000;

/** So many checks in a row must fail, each at the end of its time, with a pause before each. */
const noticesDeadWithinMs = ({ fall, intervalMs }: HealthCheck): number => fall * (intervalMs + checkMsMax);

type Way = Pick<Front, 'handle'> & Partial<Pick<Front, 'upgrade'>>;

/** Clients keep idle connections for a minute at most: none should meet one that is just being closed. */
function listen({ handle, upgrade }: Way, port: number): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 65_000 }, handle);
  if (upgrade) server.on('upgrade', upgrade);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Connections end as soon as they are idle, all of them after 5 s. */
function closeGently(server: Server): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const late = setTimeout(() => server.closeAllConnections(), 5000);
  return new Promise((resolve) => {
    server.close(() => {
      clearInterval(idle);
      clearTimeout(late);
      resolve();
    });
  });
}
