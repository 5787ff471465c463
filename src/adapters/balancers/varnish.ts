import { readSecretFile } from '../../commands/read-secret-file.ts';
import { backendConnections } from '../../commands/varnishstat.ts';
import { assert } from '../../core/assert.ts';
import type { NodeCommand } from '../../core/command.ts';
import { failure, isDeployError } from '../../core/errors.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, BalancerView, Host, Transport } from '../../ports.ts';
import { localTransport } from '../transports/local.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { reasonUnreachable, settled } from './members.ts';
import { type Change, mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';
import { type AskCli, askThrough, type CliAnswer, cliStatus } from './varnish-cli.ts';
import { type VarnishMember, type VarnishOptions, varnishOptions } from './varnish-options.ts';
import { type BackendReading, type Reading, readCommands, readingOf, shownAnswer } from './varnish-wire.ts';

/** What the driver can do, whatever its settings; `sessions` only where varnishstat is within reach, `flip` only for pools. */
export const varnishCapabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'exact',
  // A request that has chosen its backend is counted once the connection to it stands, and not before.
  settleMs: 200,
  // A child that ends cuts its requests off; those that run in a VCL that is no longer in use are counted.
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'none',
  flip: 'forgotten',
  counters: false,
};

/**
 * Varnish, over its CLI (varnish-cli(7)). A node leaves by `backend.set_health sick`: nothing new comes, not even from
 * sticky sessions, and what is in flight ends. That is forgotten when the child restarts, and by a VCL that is loaded later.
 */
export const varnish: BalancerKind = balancerKind<VarnishOptions>({
  summary: 'Varnish, over its CLI and varnishstat.',
  options: varnishOptions,
  capabilities: varnishCapabilities,
  create({ name, options, nodes, pools = {}, transport }) {
    const { members } = options;
    return driver(
      name,
      options,
      members.map((settings) => {
        const address = addressOf(settings);
        const { host, cli, instance } = settings;
        const run = runner(settings, transport);
        return {
          balancer: name,
          address,
          targets: targetsOf(name, options, {
            nodes,
            pools,
            suffix: members.length > 1 ? ` @${address}` : '',
          }),
          ask: askThrough({
            balancer: name,
            address,
            cli,
            host,
            transport,
            timeoutMs: options.timeout,
            secret: secretOf(settings, options, run),
          }),
          count: isWithinReach(settings)
            ? (signal) => run(backendConnections(instance, options.timeout), signal)
            : null,
        };
      }),
    );
  },
});

/** One varnishd. */
interface Member {
  readonly balancer: BalancerName;
  readonly address: string;
  readonly targets: readonly VarnishTarget[];
  readonly ask: AskCli;
  /** The connections in use, by the name of their counter; null: they are out of reach. */
  readonly count: ((signal: AbortSignal | undefined) => Promise<ReadonlyMap<string, number>>) | null;
}

interface VarnishTarget extends Target {
  /** Of the node's pool; null: all that requests get to. */
  readonly vcl: string | null;
  readonly backend: string;
}

const addressOf = ({ host, cli }: VarnishMember): string => {
  const at = cli.host.includes(':') ? `[${cli.host}]:${cli.port}` : `${cli.host}:${cli.port}`;
  return host === null ? at : `${at} on ${host.name}`;
};

/** varnishstat reads memory of the machine that Varnish runs on. */
const isWithinReach = ({ host, cli }: VarnishMember): boolean =>
  host !== null || /^(127\.|::1$|localhost$)/.test(cli.host);

const targetsOf = (
  balancer: BalancerName,
  { backends, pools: byPool }: VarnishOptions,
  {
    nodes,
    pools,
    suffix,
  }: {
    readonly nodes: readonly NodeName[];
    readonly pools: Readonly<Record<NodeName, PoolName>>;
    readonly suffix: string;
  },
): readonly VarnishTarget[] =>
  nodes.map((node) => {
    const backend = backends[node] ?? node;
    const vcl = byPool?.vcl[pools[node] ?? ''] ?? null;
    return { node, vcl, backend, id: `${balancer} ${shownBackend({ vcl, backend })}${suffix}` };
  });

const shownBackend = ({ vcl, backend }: Pick<VarnishTarget, 'vcl' | 'backend'>): string =>
  vcl === null ? backend : `${vcl}.${backend}`;

type Runner = <T>(command: NodeCommand<T>, signal: AbortSignal | undefined) => Promise<T>;

/** Runs a command on the machine of a Varnish, or throws what it said. */
function runner({ host }: VarnishMember, transport: Transport): Runner {
  const through = host === null ? localTransport({ become: null }) : transport;
  return async (command, signal) => {
    const { status, stdout, stderr } = await through.run(host ?? here, command, signal ? { signal } : {});
    if (status === 0) return command.parse(stdout);
    throw new Error(`${command.summary}: ${stderr.trim() || `exit status ${status}`}`);
  };
}

const here: Host = { name: 'this machine', address: 'localhost', port: null, user: null };

/** Fetched once; a line from the settings is the file without its line break. */
function secretOf(
  { secret, secretFile }: VarnishMember,
  { timeout }: VarnishOptions,
  run: Runner,
): (signal: AbortSignal) => Promise<Secret> {
  if (secret !== null) {
    const line = `${secret.reveal().replace(/\n$/, '')}\n`;
    return async () => new Secret(Buffer.from(line).toString('hex'));
  }
  let read: Secret | null = null;
  return async (signal) => {
    read ??= await run(readSecretFile(secretFile, timeout), signal);
    return read;
  };
}

function driver(name: BalancerName, options: VarnishOptions, members: readonly Member[]): Balancer {
  const targets = members.flatMap((member) => member.targets);
  const hosts = options.members.flatMap(({ host }) => (host ? [host] : []));
  return {
    name,
    hosts: hosts.filter((host, i) => hosts.findIndex((one) => one.name === host.name) === i),
    capabilities: {
      ...varnishCapabilities,
      sessions: members.every(({ count }) => count !== null) ? 'exact' : 'none',
      flip: options.pools === null ? 'none' : 'forgotten',
    },
    async observe(signal) {
      const views = await settled(members.map((member) => view(member, options, signal)));
      return {
        members: views.flatMap((one) => one.members),
        servers: views.flatMap((one) => one.servers),
      };
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      await settled(members.map((member) => tell(member, ordersOf(member.targets, changes), signal)));
    },
    shift: () => Promise.reject(unable(name, 'shift', 'weights stand in its VCL')),
    async flip(to, signal) {
      const command = flipTo(name, options, to);
      await settled(members.map((member) => turn(member, options, { to, command }, signal)));
    },
    count: () => Promise.reject(unable(name, 'count', 'it does not count answers of a backend')),
    describe: (change) => [...new Set(commandsFor(targets, change))].join('; '),
    async close() {},
  };
}

const unable = (balancer: BalancerName, request: string, answer: string) =>
  failure('BALANCER_REFUSED', { balancer, request, answer });

const commandsFor = (targets: readonly VarnishTarget[], change: Change): readonly string[] => {
  assert(typeof change.to !== 'number', 'a balancer without weights is sent none');
  return ordersOf(targets, [change]).map(({ backend, to }) => setHealth({ backend, to: to as Way }));
};

type Way = 'in' | 'draining' | 'out';

/**
 * In every VCL that is loaded, so that it holds for requests that began in another one too, and for one that is put in
 * use later. `auto` believes the probe again; `healthy` would not.
 */
const setHealth = ({ backend, to }: { readonly backend: string; readonly to: Way }): string =>
  `backend.set_health *.${backend} ${to === 'in' ? 'auto' : 'sick'}`;

async function view(member: Member, options: VarnishOptions, signal?: AbortSignal): Promise<BalancerView> {
  const { balancer, address, targets, ask, count } = member;
  // Rotation before requests: what is out, and then has none in flight, is empty.
  const read = async (answers: readonly CliAnswer[]) => ({
    reading: readingOf(answers),
    connections: (await count?.(signal)) ?? null,
  });
  const seen = await ask(readCommands, read, signal).catch(reasonUnread);
  if (typeof seen === 'string')
    return {
      members: [{ balancer, member: address, unreachable: seen, incarnation: '', pool: null }],
      servers: [],
    };
  const { reading, connections } = seen;
  const pool = poolIn(options, reading);
  return {
    members: [{ balancer, member: address, unreachable: null, incarnation: reading.incarnation, pool }],
    servers: targets.map((target) => ({
      balancer,
      member: address,
      node: target.node,
      server: target.id,
      ...found(member, target, reading),
      sessions: connections === null ? null : sessionsOf(target, connections),
      weight: 100,
    })),
  };
}

function reasonUnread(error: unknown): string {
  if (isDeployError(error, 'BALANCER_REFUSED')) return `it answered ${String(error.details.answer)}`;
  return reasonUnreachable(error);
}

/** Where it is a backend more than once, it is in rotation and healthy if it is so anywhere. */
function found(
  { balancer }: Member,
  { node, vcl, backend }: VarnishTarget,
  { serving, backends }: Reading,
): Pick<BackendReading, 'rotation' | 'health'> {
  const near = backends.filter((one) => (vcl === null ? serving.includes(one.vcl) : one.vcl === vcl));
  const own = near.filter((one) => one.backend === backend);
  if (own.length === 0) {
    const known = (near.length > 0 ? near : backends).map((one) =>
      shownBackend({ vcl: near.length > 0 && vcl === null ? null : one.vcl, backend: one.backend }),
    );
    throw failure('BALANCER_SERVER_UNKNOWN', {
      balancer,
      server: shownBackend({ vcl, backend }),
      node,
      known: [...new Set(known)],
    });
  }
  const { health } = own.find((one) => one.health === 'up') ?? own[0]!;
  return { rotation: own.some(({ rotation }) => rotation === 'in') ? 'in' : 'out', health };
}

/** In every VCL that has the backend: a request ends in the VCL in which it began. */
const sessionsOf = ({ backend }: VarnishTarget, connections: ReadonlyMap<string, number>): number =>
  [...connections]
    .filter(([counter]) => counter.endsWith(`.${backend}.conn`))
    .reduce((sum, [, connectionsInUse]) => sum + connectionsInUse, 0);

/** Looks first: a backend that is not there is no reason to change any other. */
async function tell(
  member: Member,
  orders: readonly Ordered<VarnishTarget>[],
  signal?: AbortSignal,
): Promise<void> {
  if (orders.length === 0) return;
  const { balancer, ask } = member;
  const before = await ask(readCommands, readingOf, signal);
  for (const order of orders) found(member, order, before);
  const after = await give(member, orders.map(setHealth), signal);
  for (const { to, ...target } of orders) {
    const wanted = to === 'in' ? 'in' : 'out';
    const { rotation: seen } = found(member, target, after);
    if (seen !== wanted) throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted, seen });
  }
}

/** Gives orders, and reads everything back in the same session. Varnish goes on after one that it refused. */
function give({ balancer, ask }: Member, orders: readonly string[], signal?: AbortSignal): Promise<Reading> {
  const read = (answers: readonly CliAnswer[]): Reading => {
    const refused = answers.slice(0, orders.length).findIndex(({ status }) => status !== cliStatus.ok);
    if (refused < 0) return readingOf(answers.slice(orders.length));
    throw failure('BALANCER_REFUSED', {
      balancer,
      request: orders[refused]!,
      answer: shownAnswer(answers[refused]!),
    });
  };
  return ask([...orders, ...readCommands], read, signal);
}

/** One change for all requests that come from now on. */
function flipTo(balancer: BalancerName, { pools }: VarnishOptions, to: PoolName): string {
  const vcl = pools?.vcl[to];
  if (!pools || vcl === undefined) throw unable(balancer, `flip to ${to}`, 'its settings have no VCL for it');
  return pools.label === null ? `vcl.use ${vcl}` : `vcl.label ${pools.label} ${vcl}`;
}

async function turn(
  member: Member,
  options: VarnishOptions,
  { to, command }: { readonly to: PoolName; readonly command: string },
  signal?: AbortSignal,
): Promise<void> {
  const { balancer, address } = member;
  const seen = poolIn(options, await give(member, [command], signal));
  if (seen === to) return;
  throw failure('BALANCER_NOT_APPLIED', {
    balancer,
    server: address,
    wanted: to,
    seen: seen ?? 'no pool that it names',
  });
}

/** The pool whose VCL is in use, or has the label; a label that is in use stands for its VCL. */
function poolIn({ pools }: VarnishOptions, { serving, labels }: Reading): PoolName | null {
  const named = pools?.label ?? serving[0]!;
  const names = [named, labels.get(named)];
  return Object.entries(pools?.vcl ?? {}).find(([, vcl]) => names.includes(vcl))?.[0] ?? null;
}
