import { homedir } from 'node:os';
import { join } from 'node:path';
import { addressKinds } from '../src/adapters/addresses/index.ts';
import type { AddressKind } from '../src/adapters/addresses/kind.ts';
import { balancerKinds } from '../src/adapters/balancers/index.ts';
import type { BalancerKind } from '../src/adapters/balancers/kind.ts';
import { systemClock } from '../src/adapters/clock.ts';
import { fleetKinds } from '../src/adapters/fleets/index.ts';
import type { FleetKind } from '../src/adapters/fleets/kind.ts';
import { nodeHttp } from '../src/adapters/http.ts';
import { type NotifierOptions, notifier, secretsIn } from '../src/adapters/notifier.ts';
import { systemOperator } from '../src/adapters/operator.ts';
import { systemRandom } from '../src/adapters/random.ts';
import { redacted, redactor } from '../src/adapters/redact.ts';
import { remoteOf } from '../src/adapters/sources/remote.ts';
import { fileSpool } from '../src/adapters/spool.ts';
import { createTransport } from '../src/adapters/transports/index.ts';
import type { OpenFleetPorts, OpenPorts } from '../src/cli/environment.ts';
import { assert } from '../src/core/assert.ts';
import type { Event } from '../src/core/event.ts';
import type { FleetSite } from '../src/core/fleet.ts';
import { Secret } from '../src/core/secret.ts';
import type { AddressSettings, BalancerSettings, Site } from '../src/core/site.ts';
import type { Balancer, FloatingAddress, Operator, Ports, Source, Transport } from '../src/ports.ts';

export interface PortsOptions {
  readonly emit: Ports['emit'];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The real world of one site. Nothing is connected to before it is used. */
export async function createPorts(site: Site, { emit, env }: PortsOptions): Promise<OpenPorts> {
  const transport = await createTransport(site);
  const balancers = site.balancers.map((settings) => balancerOf(site, settings, transport));
  const redact = redactor(secretsOf(site));
  const http = nodeHttp(transport);
  const told = telling({ emit, redact, http, notices: site.notices });
  return {
    clock: systemClock,
    random: systemRandom,
    transport,
    balancers,
    addresses: site.addresses.map((settings) => addressOf(settings, balancers, transport)),
    spool: fileSpool,
    source: await sourceOf(site, transport, env),
    http,
    operator: discreet(systemOperator(env), redact),
    emit: told.say,
    async close() {
      await told.settled();
      await Promise.allSettled(balancers.map((balancer) => balancer.close()));
      await transport.close();
    },
  };
}

/** The real world of a site that is a fleet. Nothing is connected to before it is used. */
export async function createFleetPorts(
  site: FleetSite,
  { emit, env }: PortsOptions,
): Promise<OpenFleetPorts> {
  const kinds: Readonly<Record<string, FleetKind>> = fleetKinds;
  const kind = kinds[site.fleet.kind];
  assert(kind, `the config was parsed, so fleets of kind ${site.fleet.kind} are registered`);
  const fleet = kind.create(site.fleet.options, site);
  const redact = redactor(site.notices.flatMap(({ options }) => secretsIn(options)));
  const http = nodeHttp(noTransport);
  const told = telling({ emit, redact, http, notices: site.notices });
  return {
    clock: systemClock,
    random: systemRandom,
    http,
    operator: discreet(systemOperator(env), redact),
    emit: told.say,
    fleet,
    async close() {
      await told.settled();
      fleet.close();
    },
  };
}

interface Telling extends Pick<PortsOptions, 'emit'>, Pick<NotifierOptions, 'http' | 'notices'> {
  readonly redact: (text: string) => string;
}

/** Whatever is said passes here on its way to the screen and to others. */
function telling({ emit, redact, http, notices }: Telling): {
  readonly say: Ports['emit'];
  settled(): Promise<void>;
} {
  const say = (event: Event): void => {
    const safe = redacted(event, redact);
    emit(safe);
    others.tell(safe);
  };
  const others = notifier({
    notices,
    http,
    warn: (text) => say({ type: 'note', level: 'warning', text, atMs: systemClock.nowMs() }),
  });
  return { say, settled: () => others.settled() };
}

/** Machines of a fleet are asked straight. */
const noTransport: Pick<Transport, 'connect'> = {
  connect: () => Promise.reject(new Error('a fleet has no connection to its machines')),
};

/** What a hook's command prints is shown, logged and sent to others if it fails: no secret may stand in it. */
const discreet = (operator: Operator, redact: (text: string) => string): Operator => ({
  ...operator,
  async run(command, options) {
    const { status, stdout, stderr } = await operator.run(command, options);
    return { status, stdout: redact(stdout), stderr: redact(stderr) };
  },
});

async function sourceOf(
  { source, linkedDirs, linkedFiles }: Site,
  transport: Transport,
  env: PortsOptions['env'],
): Promise<Source> {
  const linked = [...linkedDirs, ...linkedFiles];
  if (source.kind === 'seed')
    return (await import('../src/adapters/sources/seed.ts')).seedSource(source, { transport, linked });
  const { gitSource } = await import('../src/adapters/sources/git.ts');
  return gitSource(source, { cacheDir: cacheDirOf(env), env, linked });
}

const secretsOf = ({ source, cron, notices }: Site): readonly string[] => [
  ...notices.flatMap(({ options }) => secretsIn(options)),
  ...(source.kind === 'git' ? remoteOf(source.url).secrets : []),
  ...[
    ...(source.kind === 'git' ? Object.values(source.env) : []),
    ...Object.values(cron?.fence?.env ?? {}),
  ].flatMap((value) => (value instanceof Secret ? [value.reveal()] : [])),
];

function balancerOf(site: Site, { name, kind, options }: BalancerSettings, transport: Transport): Balancer {
  const kinds: Readonly<Record<string, BalancerKind>> = balancerKinds;
  const found = kinds[kind];
  assert(found, `the config was parsed, so balancers of kind ${kind} are registered`);
  const nodes = site.nodes.filter(({ traffic }) => traffic).map(({ name }) => name);
  const pools = Object.fromEntries(site.nodes.flatMap((node) => (node.pool ? [[node.name, node.pool]] : [])));
  const addresses = Object.fromEntries(site.nodes.map((node) => [node.name, node.address]));
  return found.create({ name, options, nodes, pools, addresses, transport });
}

/** Each of its machines is that of a balancer: the host through which that is reached. */
function addressOf(
  { name, kind, options, balancers: among }: AddressSettings,
  balancers: readonly Balancer[],
  transport: Transport,
): FloatingAddress {
  const kinds: Readonly<Record<string, AddressKind>> = addressKinds;
  const found = kinds[kind];
  assert(found, `the config was parsed, so addresses of kind ${kind} are registered`);
  const hostOf = (balancer: string) => balancers.find((one) => one.name === balancer)?.hosts[0] ?? null;
  const machines = Object.fromEntries(among.map((balancer) => [balancer, hostOf(balancer)]));
  return found.create({ name, options, machines, transport });
}

/** Where caches belong: https://specifications.freedesktop.org/basedir-spec. */
const cacheDirOf = (env: PortsOptions['env']): string =>
  join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'sluice');
