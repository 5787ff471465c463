import type { IpvsServer } from '../../commands/ipvs-table.ts';
import {
  type LdirectordState,
  type MaintenanceOrder,
  readLdirectord,
  setMaintenanceFiles,
} from '../../commands/ldirectord.ts';
import type { LdirectordServer, LdirectordVirtual } from '../../commands/ldirectord-config.ts';
import { failure } from '../../core/errors.ts';
import { describe, duration, type Fields, withDefault } from '../../core/field.ts';
import type { ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, BalancerView } from '../../ports.ts';
import { slowest } from './hosted.ts';
import { absoluteFile, type DirectorOptions, directorOptions } from './ipvs-options.ts';
import {
  type DirectorMember,
  directorMembers,
  type FoundServer,
  type IpvsTarget,
  isSticky,
  mustLetGo,
  oneOf,
  reuseSpots,
  sessionsOf,
  titleOf,
  unknownServer,
} from './ipvs-servers.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { settled, together, unreadable } from './members.ts';
import { mustBeKnown, ordersOf } from './target.ts';

/**
 * With the settings as they are by default; `drain: 'soft'` changes `drain`. Without `readdquiescent = yes`, ldirectord 4.12
 * gives each server of weight 0 its weight back for a moment when it starts or reloads, the ones in maintenance too.
 */
export const ldirectordCapabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'estimate',
  settleMs: 500,
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'none',
  flip: 'none',
  counters: false,
};

/**
 * IPVS as ldirectord(8) tends it: a file in its `maintenancedir` takes a server out, for as long as it is there, and
 * ldirectord's own checks say how servers are. Whoever edited the table itself would be overruled by its next check.
 */
export const ldirectord: BalancerKind = balancerKind<LdirectordOptions>({
  summary: "IPVS (LVS) with ldirectord, by files in its maintenancedir. sluice needs root's rights there.",
  options: ldirectordOptions(),
  capabilities: ldirectordCapabilities,
  create: ({ name, options, ...site }) => driver(name, directorMembers(name, options, site), options),
});

interface LdirectordOptions extends DirectorOptions {
  readonly config: string;
  readonly timeout: number;
}

function ldirectordOptions(): Fields<LdirectordOptions> {
  return {
    ...directorOptions,
    config: describe(
      'The configuration of ldirectord on the director. It needs maintenancedir, and quiescent=yes.',
      withDefault(absoluteFile, '/etc/ha.d/ldirectord.cf', '/etc/ha.d/ldirectord.cf'),
    ),
    timeout: describe(
      'How long ldirectord may take to obey: longer than one round of its checks (checkinterval, and the checks of all servers).',
      withDefault(duration, 30_000, '30s'),
    ),
  };
}

type Member = DirectorMember<LdirectordOptions>;

function driver(name: BalancerName, members: readonly Member[], options: LdirectordOptions): Balancer {
  const targets = members.flatMap((member) => member.targets);
  const refused = (request: string, answer: string) =>
    failure('BALANCER_REFUSED', { balancer: name, request, answer });
  return {
    name,
    hosts: options.hosts ?? [],
    capabilities: { ...ldirectordCapabilities, drain: options.drain },
    async observe(signal) {
      return together(await settled(members.map((member) => view(member, signal))));
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      await settled(
        members.map((member) =>
          tell(
            member,
            ordersOf(member.targets, changes).map(({ to, ...target }) => ({
              target,
              to: to === 'in' ? 'in' : 'out',
            })),
            signal,
          ),
        ),
      );
    },
    async shift() {
      throw refused('shift', 'its weights stand in its configuration');
    },
    async flip(to) {
      throw refused(`flip to ${to}`, 'it knows no pools');
    },
    async count() {
      throw refused('count', 'it counts no answers');
    },
    describe: (change) =>
      [...new Set(ordersOf(targets, [change]).map((target) => lineFor(target, change.to === 'in')))].join(
        '; ',
      ),
    async close() {},
  };
}

const lineFor = ({ node, server, service }: IpvsTarget, isIn: boolean): string =>
  `${isIn ? 'delete' : 'write'} the maintenance file of ${server} in ${service.title} (${node})`;

/** The state of a member in which every target stands, and whose ldirectord is as sluice needs it. */
async function stateOf(member: Member, signal?: AbortSignal): Promise<LdirectordState> {
  const { balancer, name, options } = member;
  const state = await member.run(readLdirectord(options), signal);
  if (state.process === null)
    throw failure('BALANCER_UNREACHABLE', { balancer, address: name, reason: 'ldirectord does not run' });
  for (const target of member.targets) mustBeFit(member, state, foundIn(member, state, target));
  return state;
}

/** A server, as ldirectord and the table have it. */
interface Found {
  readonly virtual: LdirectordVirtual;
  readonly configured: LdirectordServer;
  /** Null: it is not in the table. It was down when ldirectord began, say. */
  readonly server: IpvsServer | null;
}

function foundIn({ balancer }: Member, { config, table }: LdirectordState, target: IpvsTarget): Found {
  const virtual = config.virtuals.find(({ service }) => service === target.service.words);
  const configured = oneOf(target, virtual?.servers ?? []);
  if (!virtual || !configured) {
    const near = virtual ? [virtual] : config.virtuals;
    throw unknownServer(
      balancer,
      target,
      near.flatMap(({ service, servers }) => servers.map(({ address }) => `${titleOf(service)}/${address}`)),
    );
  }
  const service = table.services.find((one) => one.service === virtual.service);
  return { virtual, configured, server: oneOf(target, service?.servers ?? []) };
}

function mustBeFit(member: Member, { config, table }: LdirectordState, { virtual }: Found): void {
  const { balancer, name, options } = member;
  const unfit = (reason: string, remedy: string) =>
    failure('BALANCER_UNFIT', { balancer, member: name, reason, remedy: `in ${options.config} ${remedy}` });
  if (config.maintenanceDir === null)
    throw unfit('ldirectord has no maintenancedir', "write, say, 'maintenancedir = /etc/ha.d/maintenance'.");
  if (!virtual.isQuiescent)
    throw unfit(
      `ldirectord deletes servers of ${titleOf(virtual.service)} that it takes out, which cuts their connections`,
      "write 'quiescent = yes'.",
    );
  const service = table.services.find((one) => one.service === virtual.service);
  if (service) mustLetGo({ balancer, member: name }, table, service, options);
}

async function view(member: Member, signal?: AbortSignal): Promise<BalancerView> {
  const { balancer, name, targets } = member;
  const state = await stateOf(member, signal).catch(unreadable);
  if (typeof state === 'string') {
    return {
      members: [{ balancer, member: name, unreachable: state, incarnation: '', pool: null }],
      servers: [],
    };
  }
  const incarnation = `process ${state.process}, boot ${state.table.bootId}`;
  const found = targets.map((target) => foundIn(member, state, target));
  return {
    members: [
      {
        balancer,
        member: name,
        unreachable: null,
        incarnation,
        pool: null,
        noticesDeadWithinMs: slowest(found.map(({ virtual }) => virtual.noticesDeadWithinMs)),
        weakSpots: reuseSpots(
          state.table,
          found.flatMap((one) => entryOf(state, one) ?? []),
        ),
      },
    ],
    servers: targets.map((target) => serverStateOf(member, state, target)),
  };
}

function serverStateOf(member: Member, state: LdirectordState, target: IpvsTarget): ServerState {
  const found = foundIn(member, state, target);
  const { rotation } = rotationIn(state, found);
  const entry = entryOf(state, found);
  return {
    balancer: member.balancer,
    member: member.name,
    node: target.node,
    server: target.id,
    rotation,
    health: rotation === 'in' ? healthOf(found) : 'unchecked',
    sessions: entry ? sessionsOf(entry) : 0,
    weight: 100,
  };
}

/** What the table has of it; null: nothing. */
function entryOf({ table }: LdirectordState, { virtual, server }: Found): FoundServer | null {
  const service = table.services.find((one) => one.service === virtual.service);
  return service && server ? { service, server } : null;
}

/** Which file, if any, has it out; and whether the table shows that. */
function rotationIn(
  { maintenance, table }: LdirectordState,
  { virtual, configured: { address }, server }: Found,
): { readonly rotation: ServerState['rotation']; readonly file: string | null } {
  const file = [address, address.replace(/:\w+$/, '')].find((name) => maintenance.includes(name)) ?? null;
  if (file === null || (server?.weight ?? 0) > 0) return { rotation: 'in', file };
  const service = table.services.find((one) => one.service === virtual.service);
  return { rotation: service && isSticky(table, service) ? 'draining' : 'out', file };
}

/** A server that is not in maintenance has a weight as long as ldirectord finds it well. */
const healthOf = ({ server }: Found): ServerState['health'] => ((server?.weight ?? 0) > 0 ? 'up' : 'down');

interface Order {
  readonly target: IpvsTarget;
  readonly to: 'in' | 'out';
}

async function tell(member: Member, orders: readonly Order[], signal?: AbortSignal): Promise<void> {
  if (orders.length === 0) return;
  const { balancer, options } = member;
  const before = await stateOf(member, signal);
  const after = await member.run(
    setMaintenanceFiles({
      sudo: options.sudo,
      config: options.config,
      orders: orders.map(({ target, to }) => fileOrder(foundIn(member, before, target), to)),
      withinSeconds: Math.ceil(options.timeout / 1000),
    }),
    signal,
  );
  for (const { target, to } of orders) {
    const { rotation, file } = rotationIn(after, foundIn(member, after, target));
    const isObeyed = to === 'in' ? file === null : rotation !== 'in';
    if (isObeyed) continue;
    const seen = file === null || to === 'out' ? rotation : `${rotation} (of the maintenance file ${file})`;
    throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted: to, seen });
  }
}

const fileOrder = ({ virtual, configured, server }: Found, to: 'in' | 'out'): MaintenanceOrder => ({
  to,
  file: configured.address,
  entry: server && { service: virtual.service, address: server.address },
});
