import type { IpvsServer, IpvsService, IpvsTable } from '../../commands/ipvs-table.ts';
import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Host, Transport } from '../../ports.ts';
import { directorName, type OnDirector, onDirector } from './director.ts';
import { type DirectorOptions, realServer, type VirtualService } from './ipvs-options.ts';
import type { Target } from './target.ts';

/** A real server that a director has for a node, in one of its virtual services. */
export interface IpvsTarget extends Target {
  readonly service: VirtualService;
  /** An address, or one with a port; a host name, if the settings say no better, which no director knows. */
  readonly server: string;
}

/** A director, as the drivers have it. */
export interface DirectorMember<Options extends DirectorOptions> {
  readonly balancer: BalancerName;
  readonly name: string;
  readonly options: Options;
  readonly targets: readonly IpvsTarget[];
  readonly run: OnDirector;
}

interface DirectorSite {
  readonly nodes: readonly NodeName[];
  readonly addresses?: Readonly<Record<NodeName, string>>;
  readonly transport: Transport;
}

/** One for each director that the settings name. */
export const directorMembers = <Options extends DirectorOptions>(
  balancer: BalancerName,
  options: Options,
  site: DirectorSite,
): readonly DirectorMember<Options>[] =>
  (options.hosts ?? [null]).map((host) => ({
    balancer,
    name: directorName(host),
    options,
    targets: targetsOf(balancer, options, host, site),
    run: onDirector(balancer, host, site.transport),
  }));

const targetsOf = (
  balancer: BalancerName,
  { services, servers, hosts }: DirectorOptions,
  host: Host | null,
  { nodes, addresses = {} }: DirectorSite,
): readonly IpvsTarget[] =>
  services.flatMap((service) =>
    nodes.map((node) => {
      const server = servers[node] ?? addressOf(addresses[node] ?? node);
      const suffix = (hosts?.length ?? 1) > 1 ? ` @${directorName(host)}` : '';
      return { node, service, server, id: `${balancer} ${service.title}/${server}${suffix}` };
    }),
  );

function addressOf(text: string): string {
  const read = realServer.parse(text, '');
  return read.ok ? read.value : text;
}

/** The one of these that the target names; null: none, or several. */
export function oneOf<S extends { readonly address: string }>(
  { server }: IpvsTarget,
  servers: readonly S[],
): S | null {
  const own = servers.filter(({ address }) => address === server || hostOf(address) === server);
  return own.length === 1 ? own[0]! : null;
}

/** Without its port. */
const hostOf = (address: string): string => address.replace(/:\d+$/, '');

export interface FoundServer {
  readonly service: IpvsService;
  readonly server: IpvsServer;
}

/** Throws `BALANCER_SERVER_UNKNOWN` if the table does not have it. */
export function foundIn({ services }: IpvsTable, balancer: BalancerName, target: IpvsTarget): FoundServer {
  const service = services.find((one) => one.service === target.service.words);
  const server = oneOf(target, service?.servers ?? []);
  if (service && server) return { service, server };
  const near = service ? [service] : services;
  throw unknownServer(
    balancer,
    target,
    near.flatMap((one) => one.servers.map(({ address }) => `${titleOf(one.service)}/${address}`)),
  );
}

export const unknownServer = (balancer: BalancerName, target: IpvsTarget, known: readonly string[]) =>
  failure('BALANCER_SERVER_UNKNOWN', {
    balancer,
    server: `${target.service.title}/${target.server}`,
    node: target.node,
    known,
  });

/** As a config calls it. */
export const titleOf = (words: string): string =>
  Object.entries(protocols).reduce((text, [flag, name]) => text.replace(flag, name), words);

const protocols = {
  '-t ': 'tcp ',
  '-u ': 'udp ',
  '--sctp-service ': 'sctp ',
  '-f ': 'fwmark ',
  ' -6': ' ipv6',
};

/** Whether clients come to a server of weight 0 all the same. */
export const isSticky = ({ expiresTemplates }: IpvsTable, { persistentSeconds }: IpvsService): boolean =>
  persistentSeconds > 0 && !expiresTemplates;

/** Throws `BALANCER_UNFIT` if clients stick to servers that are drained, and the settings do not accept that. */
export function mustLetGo(
  { balancer, member }: { readonly balancer: BalancerName; readonly member: string },
  table: IpvsTable,
  service: IpvsService,
  { drain }: DirectorOptions,
): void {
  if (drain === 'soft' || !isSticky(table, service)) return;
  throw failure('BALANCER_UNFIT', {
    balancer,
    member,
    reason: `${titleOf(service.service)} is persistent, so its clients keep coming to a server that is drained`,
    remedy: `on the director, set net.ipv4.vs.expire_quiescent_template=1; or accept it: balancers.${balancer}.drain: 'soft'.`,
  });
}

/**
 * Whether a client that uses a port again may come to one of these servers while that has weight 0: the director
 * takes it for the connection that it had before, unless that is known to have ended. Where answers do not come back
 * through the director, only their client is seen to end it (Documentation/networking/ipvs-sysctl.rst of Linux).
 */
export function reuseSpots(
  { reuseMode, expiresConnections }: IpvsTable,
  found: readonly FoundServer[],
): readonly string[] {
  if (reuseMode > 0 && expiresConnections) return [];
  const isSafe = ({ service: { service }, server: { forwarding } }: FoundServer): boolean =>
    service.startsWith('-u ') || (forwarding.includes('-m') ? reuseMode > 0 : (reuseMode & 2) > 0);
  if (found.every(isSafe)) return [];
  return [
    `sends a client that uses a port again within two minutes to the node that it had before, also while that one is out (net.ipv4.vs.conn_reuse_mode is ${reuseMode}): set it to 3 there.`,
  ];
}

/** Connections that are established; UDP has none, and what else there is decays by timers alone. */
export const sessionsOf = ({ service: { service }, server: { active } }: FoundServer): number | null =>
  service.startsWith('-u ') ? null : active;
