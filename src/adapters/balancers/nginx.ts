import { changeNginx, type Nginx, type NginxReading, nginxExits, readNginx } from '../../commands/nginx.ts';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { type DeployError, failure, isDeployError, messageOf } from '../../core/errors.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, Host, RunOptions, Transport } from '../../ports.ts';
import { localTransport } from '../transports/local.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import {
  defaultOf,
  isDown,
  type ServerEdit,
  serversIn,
  type UpstreamServer,
  withDefaultOf,
  withServers,
} from './nginx-config.ts';
import { type NginxOptions, nginxOptions } from './nginx-options.ts';
import { type Change, mustBeKnown, ordersOf, type Target } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

/** What the driver can do where no pools are; with them it flips. */
export const nginxCapabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'estimate',
  // Somebody else's reload that was under way may bring up workers with what the file said before.
  settleMs: 300,
  successor: { rotation: 'kept', requests: 'counted' },
  weights: 'server',
  flip: 'none',
  counters: false,
};

/**
 * nginx open source, by its configuration: server lines of one file are changed, nginx tests and loads them, and what
 * was changed is so once new workers have taken the place of all others. The file outlives restarts.
 */
export const nginx: BalancerKind = balancerKind<NginxOptions>({
  summary: 'nginx open source, by the server lines of an upstream, which it then loads without a restart.',
  options: nginxOptions,
  capabilities: nginxCapabilities,
  create: ({ name, options, nodes, pools = {}, transport }) => {
    const machine = options.host
      ? { host: options.host, transport }
      : { host: here, transport: localTransport({ become: null }) };
    return driver({ name, options, targets: targetsOf(name, options, nodes, pools), ...machine });
  },
});

const here: Host = { name: 'this machine', address: 'localhost', port: null, user: null };

interface Nginxes {
  readonly name: BalancerName;
  readonly options: NginxOptions;
  readonly targets: readonly NginxTarget[];
  readonly host: Host;
  readonly transport: Transport;
}

interface NginxTarget extends Target {
  readonly upstream: string;
  /** Of its line; or the host part of it. */
  readonly server: string;
}

function targetsOf(
  balancer: BalancerName,
  { upstream, servers }: NginxOptions,
  nodes: readonly NodeName[],
  pools: Readonly<Record<NodeName, PoolName>>,
): readonly NginxTarget[] {
  const target = (node: NodeName, of: string): NginxTarget => {
    const server = servers[node] ?? node;
    return { node, upstream: of, server, id: `${balancer} ${of}/${server}` };
  };
  if (typeof upstream === 'string') return nodes.map((node) => target(node, upstream));
  return Object.entries(upstream).flatMap(([pool, of]) =>
    nodes.filter((node) => pools[node] === pool).map((node) => target(node, of)),
  );
}

function driver(nginx: Nginxes): Balancer {
  const { name, options, targets } = nginx;
  return {
    name,
    hosts: options.host ? [options.host] : [],
    capabilities: { ...nginxCapabilities, flip: flips(options) ? 'kept' : 'none' },
    async observe(signal) {
      const seen = await read(nginx, signal).catch(reasonUnreadable);
      const state = { balancer: name, member: memberOf(nginx) };
      if (typeof seen === 'string')
        return {
          members: [{ ...state, unreachable: seen, incarnation: '', pool: null }],
          servers: [],
        };
      const { master, text } = seen;
      return {
        members: [{ ...state, unreachable: null, incarnation: master, pool: poolIn(options, text) }],
        servers: targets.map((target) => ({ ...state, ...stateOf(nginx, target, seen) })),
      };
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      const orders = ordersOf(targets, changes);
      const { servers } = await write(
        nginx,
        ({ text, servers }) =>
          withServers(
            text,
            orders.map((order) => ({
              ...lineOf(found(nginx, order, servers)),
              rotation: order.to === 'in' ? 'in' : 'out',
            })),
          ),
        signal,
      );
      for (const { to, ...target } of orders) {
        const server = found(nginx, target, servers);
        if (isDown(server) === (to !== 'in')) continue;
        const seen = `out (its weight is ${percentOf(server.weight)})`;
        throw failure('BALANCER_NOT_APPLIED', { balancer: name, server: target.id, wanted: to, seen });
      }
    },
    async shift(changes, signal) {
      mustBeKnown(name, targets, changes);
      const orders = ordersOf(targets, changes);
      await write(
        nginx,
        ({ text, servers }) =>
          withServers(
            text,
            orders.map((order): ServerEdit => {
              const server = found(nginx, order, servers);
              const { configured } = server.weight;
              return {
                ...lineOf(server),
                now: weightAt(order.to, { balancer: name, server: order.id, configured }),
              };
            }),
          ),
        signal,
      );
    },
    async flip(to, signal) {
      const request = `flip to ${to}`;
      const upstream = typeof options.upstream === 'string' ? undefined : options.upstream[to];
      const { live } = options;
      if (live === null || upstream === undefined)
        throw refused(nginx, request, live === null ? 'it has no live' : 'it has no upstream for it');
      await write(
        nginx,
        ({ text, servers }) => {
          if (defaultOf(text, live) === null)
            throw refused(nginx, request, `no map in ${options.file} has a default for $${live}`);
          if (!servers.some((server) => server.upstream === upstream))
            throw refused(nginx, request, `${options.file} has no upstream ${upstream}`);
          return withDefaultOf(text, live, upstream);
        },
        signal,
      );
    },
    count: () => Promise.reject(refused(nginx, 'count', 'nginx counts no answers of servers')),
    describe: (change) =>
      ordersOf(targets, [change])
        .map((target) => `upstream ${target.upstream}: server ${target.server} ${told(target, change)}`)
        .join('; '),
    async close() {},
  };
}

const flips = ({ live, upstream }: NginxOptions): boolean => live !== null && typeof upstream !== 'string';

const memberOf = ({ options, host }: Nginxes): string =>
  options.host === null ? options.file : `${host.name}:${options.file}`;

const told = ({ node, server }: NginxTarget, { to }: Change): string => {
  const word = typeof to === 'number' ? `weight ${to} %` : to === 'in' ? 'up' : 'down';
  return server === node ? word : `(${node}) ${word}`;
};

const lineOf = ({ upstream, address }: UpstreamServer): Pick<ServerEdit, 'upstream' | 'address'> => ({
  upstream,
  address,
});

interface Seen extends NginxReading {
  readonly servers: readonly UpstreamServer[];
}

/**
 * What nginx does now. Rejects with `BALANCER_UNREACHABLE`, also where the file is not what nginx has loaded: nobody knows
 * then what it does; or with `BALANCER_REFUSED`.
 */
async function read(nginx: Nginxes, signal?: AbortSignal): Promise<Seen> {
  const { file } = nginx.options;
  const command = readNginx(placeOf(nginx));
  const result = await run(nginx, command, signal ? { signal } : {});
  if (result.status !== 0) throw refused(nginx, command.summary, result.stderr.trim());
  const reading = command.parse(result.stdout);
  if (!reading.isLoaded)
    throw unreachable(nginx, `${file} was written after nginx loaded it: reload nginx, or put the file back`);
  // It would be written back as other bytes.
  if (reading.text.includes('\uFFFD')) throw refused(nginx, command.summary, `${file} is not all UTF-8`);
  try {
    return { ...reading, servers: serversIn(reading.text) };
  } catch (error) {
    throw refused(nginx, command.summary, `${file}: ${messageOf(error)}`);
  }
}

/** Changes the file until it is what it shall be and nginx has loaded it: somebody else may write it in between. */
async function write(nginx: Nginxes, edit: (seen: Seen) => string, signal?: AbortSignal): Promise<Seen> {
  const { options } = nginx;
  const place = placeOf(nginx);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const seen = await read(nginx, signal);
    const text = edit(seen);
    if (text === seen.text) return seen;
    const command = changeNginx({ ...place, digest: seen.digest, withinMs: options.timeout });
    const stdin = async function* () {
      yield new TextEncoder().encode(text);
    };
    const { status, stderr } = await run(nginx, command, signal ? { stdin, signal } : { stdin });
    if (status !== 0 && status !== nginxExits.changedMeanwhile)
      throw refused(nginx, command.summary, stderr.trim());
  }
  throw refused(nginx, `change ${options.file}`, 'somebody else goes on changing it');
}

const attemptsMax = 5;

const placeOf = ({ options: { file, pid, command, become } }: Nginxes): Nginx => ({
  file,
  pid,
  command,
  become,
});

async function run(nginx: Nginxes, command: NodeCommand, options: RunOptions): Promise<CommandResult> {
  try {
    const result = await nginx.transport.run(nginx.host, command, options);
    if (result.status === nginxExits.notRunning) throw unreachable(nginx, result.stderr.trim());
    return result;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isDeployError(error) || error.code === 'BALANCER_UNREACHABLE') throw error;
    throw unreachable(nginx, error.message, error);
  }
}

const unreachable = (nginx: Nginxes, reason: string, cause?: DeployError): DeployError =>
  failure('BALANCER_UNREACHABLE', { balancer: nginx.name, address: memberOf(nginx), reason }, cause);

const refused = ({ name: balancer }: Nginxes, request: string, answer: string): DeployError =>
  failure('BALANCER_REFUSED', { balancer, request, answer });

function reasonUnreadable(error: unknown): string {
  if (isDeployError(error, 'BALANCER_UNREACHABLE')) return String(error.details.reason);
  if (isDeployError(error, 'BALANCER_REFUSED')) return String(error.details.answer);
  throw error;
}

/** Throws `BALANCER_SERVER_UNKNOWN`, with the servers of the upstream, or of all if there is none of that name. */
function found(nginx: Nginxes, target: NginxTarget, servers: readonly UpstreamServer[]): UpstreamServer {
  const near = servers.filter(({ upstream }) => upstream === target.upstream);
  const hostOf = (address: string): string => address.replace(/:\d+$/, '');
  const server =
    near.find(({ address }) => address === target.server) ??
    near.find(({ address }) => hostOf(address) === target.server);
  if (server) return server;
  throw failure('BALANCER_SERVER_UNKNOWN', {
    balancer: nginx.name,
    server: `${target.upstream}/${target.server}`,
    node: target.node,
    known: (near.length > 0 ? near : servers).map(({ upstream, address }) => `${upstream}/${address}`),
  });
}

const poolIn = ({ live, upstream }: NginxOptions, text: string): PoolName | null => {
  if (live === null || typeof upstream === 'string') return null;
  const named = defaultOf(text, live);
  return Object.entries(upstream).find(([, one]) => one === named)?.[0] ?? null;
};

function stateOf(nginx: Nginxes, target: NginxTarget, seen: Seen): Omit<ServerState, 'balancer' | 'member'> {
  const server = found(nginx, target, seen.servers);
  return {
    node: target.node,
    server: target.id,
    rotation: isDown(server) ? 'out' : 'in',
    health: 'unchecked',
    sessions: sessionsOf(server, seen),
    weight: percentOf(server.weight),
  };
}

/**
 * Connections to the server; and at least one for each worker that has retired, whomever it is connected to: it knows the
 * rotation of before, and may send a request there whose body it is still reading. It ends with its last request.
 */
function sessionsOf({ address }: UpstreamServer, { retired, connections }: NginxReading): number {
  const own = connections.filter((one) => isSame(address, one));
  const by = (worker: string): number =>
    own.reduce((sum, one) => sum + (one.worker === worker ? one.count : 0), 0);
  const current = own.reduce((sum, one) => sum + (retired.includes(one.worker) ? 0 : one.count), 0);
  return retired.reduce((sum, worker) => sum + Math.max(1, by(worker)), current);
}

/** A server that stands by its name is the same as none: nginx looked the name up, and did not say what it found. */
function isSame(
  address: string,
  { address: remote, port }: { readonly address: string; readonly port: number },
): boolean {
  const [, v6, v4, digits = '80'] = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::(\d+))?$/i.exec(address) ?? [];
  if (Number(digits) !== port) return false;
  return v4 === remote || (v6 !== undefined && canonical(v6) === canonical(remote));
}

/** The one way to write an address of IPv6, of the many. */
const canonical = (v6: string): string => (v6.includes(':') ? new URL(`http://[${v6}]`).hostname : v6);
