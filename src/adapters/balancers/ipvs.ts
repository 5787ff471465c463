import { type Detail, editIpvs, type IpvsEdit, readIpvs } from '../../commands/ipvs.ts';
import type { IpvsServer, IpvsTable } from '../../commands/ipvs-table.ts';
import { failure } from '../../core/errors.ts';
import type { ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, BalancerView, WeightChange } from '../../ports.ts';
import { type IpvsOptions, ipvsOptions } from './ipvs-options.ts';
import {
  type DirectorMember,
  directorMembers,
  type FoundServer,
  foundIn,
  type IpvsTarget,
  isSticky,
  mustLetGo,
  reuseSpots,
  sessionsOf,
} from './ipvs-servers.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { reasonUnreachable, settled, together, unreadable } from './members.ts';
import { type Change, mustBeKnown, type Ordered, ordersOf } from './target.ts';
import { percentOf, weightAt } from './weight.ts';

/**
 * With the settings as they are by default; `drain: 'soft'` and `save` change `drain` and `successor.rotation`. A
 * connection whose handshake is under way is not yet among those that are counted.
 */
export const ipvsCapabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'estimate',
  settleMs: 500,
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'server',
  flip: 'none',
  counters: false,
};

/**
 * IPVS, the balancer of Linux's own kernel, through ipvsadm(8). It balances connections: requests on one that is kept
 * alive keep coming to a server of weight 0 until the client or the node closes it. It asks no node how it is.
 */
export const ipvs: BalancerKind = balancerKind<IpvsOptions>({
  summary: "IPVS (LVS), through ipvsadm on the director. sluice needs root's rights there.",
  options: ipvsOptions,
  capabilities: ipvsCapabilities,
  create({ name, options, ...site }) {
    const members = directorMembers(name, options, site).map(
      (member): Member => ({ ...member, incarnationOf: incarnations() }),
    );
    return driver(name, members, options);
  },
});

interface Member extends DirectorMember<IpvsOptions> {
  readonly incarnationOf: (table: IpvsTable) => string;
}

function driver(name: BalancerName, members: readonly Member[], options: IpvsOptions): Balancer {
  const targets = members.flatMap((member) => member.targets);
  const { requests } = ipvsCapabilities.successor;
  return {
    name,
    hosts: options.hosts ?? [],
    capabilities: {
      ...ipvsCapabilities,
      drain: options.drain,
      successor: { rotation: options.save === null ? 'forgotten' : 'kept', requests },
    },
    async observe(signal) {
      return together(await settled(members.map((member) => view(member, signal))));
    },
    async change(changes, signal) {
      mustBeKnown(name, targets, changes);
      await settled(
        members.map(async (member) =>
          tell(member, await planned(member, changes, rotationOrder, signal), signal),
        ),
      );
    },
    async shift(changes, signal) {
      mustBeKnown(name, targets, changes);
      const plans = members.map((member) => planned(member, changes, weightOrder, signal));
      // A member that cannot be reached does not keep the others from being told, and is reported in the end.
      await settled(plans).catch(reasonUnreachable);
      await settled(members.map(async (member, i) => tell(member, await plans[i]!, signal)));
    },
    async flip(to) {
      throw failure('BALANCER_REFUSED', {
        balancer: name,
        request: `flip to ${to}`,
        answer: 'it knows no pools',
      });
    },
    async count() {
      throw failure('BALANCER_REFUSED', { balancer: name, request: 'count', answer: 'it counts no answers' });
    },
    describe: (change) => [...new Set(linesFor(targets, change))].join('; '),
    async close() {},
  };
}

const linesFor = (targets: readonly IpvsTarget[], change: Change): readonly string[] =>
  ordersOf<IpvsTarget, Change>(targets, [change]).map(
    ({ node, service, server, to }) =>
      `ipvsadm -e ${service.words} -r ${server} -w ${weightFor(to)} (${node})`,
  );

const weightFor = (to: Change['to']): string => {
  if (typeof to === 'number') return `${to}%`;
  return to === 'in' ? 'as before' : '0';
};

/** The table of a member, in which every target stands, and is as the settings say. */
async function tableOf(member: Member, details: readonly Detail[], signal?: AbortSignal): Promise<IpvsTable> {
  const table = await member.run(readIpvs(member.options, details), signal);
  for (const target of member.targets) mustBeFit(member, table, target);
  return table;
}

function mustBeFit(member: Member, table: IpvsTable, target: IpvsTarget): void {
  const { balancer, name, options } = member;
  const { service, server } = foundIn(table, balancer, target);
  mustLetGo({ balancer, member: name }, table, service, options);
  const configured = configuredOf(member, target);
  if (server.weight <= configured) return;
  throw failure('BALANCER_UNFIT', {
    balancer,
    member: name,
    reason: `${target.id} has weight ${server.weight}, and the settings say that ${configured} is its whole weight`,
    remedy: `set balancers.${balancer}.weight: ${server.weight}, or weights: { ${target.node}: ${server.weight} } for this node alone.`,
  });
}

async function view(member: Member, signal?: AbortSignal): Promise<BalancerView> {
  const { balancer, name, targets, incarnationOf } = member;
  const table = await tableOf(member, ['counts', 'totals'], signal).catch(unreadable);
  if (typeof table === 'string') {
    return {
      members: [{ balancer, member: name, unreachable: table, incarnation: '', pool: null }],
      servers: [],
    };
  }
  return {
    members: [
      {
        balancer,
        member: name,
        unreachable: null,
        incarnation: incarnationOf(table),
        pool: null,
        weakSpots: reuseSpots(
          table,
          targets.map((target) => foundIn(table, balancer, target)),
        ),
      },
    ],
    servers: targets.map((target) => stateOf(member, table, target)),
  };
}

function stateOf(member: Member, table: IpvsTable, target: IpvsTarget): ServerState {
  const { balancer, name } = member;
  const found = foundIn(table, balancer, target);
  const configured = configuredOf(member, target);
  return {
    balancer,
    member: name,
    node: target.node,
    server: target.id,
    rotation: rotationOf(table, found),
    health: 'unchecked',
    sessions: sessionsOf(found),
    weight: percentOf({ now: weightOf(found.server, configured), configured }),
  };
}

const configuredOf = ({ options: { weight, weights } }: Member, { node }: IpvsTarget): number =>
  weights[node] ?? weight;

function rotationOf(table: IpvsTable, { service, server }: FoundServer): ServerState['rotation'] {
  if (server.weight > 0) return 'in';
  return isIn(server) || isSticky(table, service) ? 'draining' : 'out';
}

/** In rotation, be it with a weight of 0. */
const isIn = ({ weight, note }: IpvsServer): boolean => weight > 0 || note?.rotation === 'in';

/** What it has, or gets once it is put in. */
const weightOf = ({ weight, note }: IpvsServer, configured: number): number =>
  weight > 0 ? weight : (note?.weight ?? configured);

interface Plan {
  readonly table: IpvsTable;
  readonly orders: readonly Order[];
}

/** What the changes come to at a member, as its table is. */
async function planned<C extends Change>(
  member: Member,
  changes: readonly C[],
  orderOf: (member: Member, table: IpvsTable, target: Ordered<IpvsTarget, C>) => Order,
  signal?: AbortSignal,
): Promise<Plan> {
  const table = await tableOf(member, ['thresholds'], signal);
  const orders = ordersOf(member.targets, changes).map((target) => orderOf(member, table, target));
  return { table, orders };
}

/** One edit, and how it is seen to be obeyed. */
interface Order {
  readonly target: IpvsTarget;
  readonly edit: IpvsEdit;
  readonly wanted: string;
  seenIn(table: IpvsTable, found: FoundServer): { readonly isObeyed: boolean; readonly seen: string };
}

function rotationOrder(member: Member, table: IpvsTable, target: Ordered<IpvsTarget>): Order {
  const { server } = foundIn(table, member.balancer, target);
  const weight = weightOf(server, configuredOf(member, target));
  return {
    target,
    edit: target.to === 'in' ? editOf(target, server, 'in', weight) : editOf(target, server, 'out', weight),
    wanted: target.to,
    seenIn(now, found) {
      const rotation = rotationOf(now, found);
      const isZero = isIn(found.server) && found.server.weight === 0;
      return {
        isObeyed: target.to === 'in' ? rotation === 'in' : found.server.weight === 0,
        seen: isZero ? `${rotation} (its weight is 0)` : rotation,
      };
    },
  };
}

function weightOrder(member: Member, table: IpvsTable, target: Ordered<IpvsTarget, WeightChange>): Order {
  const { balancer } = member;
  const { server } = foundIn(table, balancer, target);
  const configured = configuredOf(member, target);
  const wanted = weightAt(target.to, { balancer, server: target.id, configured });
  return {
    target,
    edit: editOf(target, server, isIn(server) ? 'in' : 'out', wanted),
    wanted: `weight ${wanted}`,
    seenIn(_, found) {
      const now = weightOf(found.server, configured);
      return { isObeyed: now === wanted, seen: `weight ${now}` };
    },
  };
}

/** The table has one number for two facts: what it cannot say is noted. */
const editOf = (
  { service }: IpvsTarget,
  server: IpvsServer,
  rotation: 'in' | 'out',
  weight: number,
): IpvsEdit => ({
  service: service.words,
  server,
  weight: rotation === 'in' ? weight : 0,
  note: rotation === 'in' && weight > 0 ? null : { rotation, weight },
});

async function tell(member: Member, { table, orders }: Plan, signal?: AbortSignal): Promise<void> {
  const { balancer, options } = member;
  const edits = orders.map(({ edit }) => edit).filter(isNews);
  const after =
    edits.length === 0
      ? table
      : await member.run(editIpvs({ edits, save: options.save, sudo: options.sudo }), signal);
  for (const { target, wanted, seenIn } of orders) {
    const { isObeyed, seen } = seenIn(after, foundIn(after, balancer, target));
    if (!isObeyed) throw failure('BALANCER_NOT_APPLIED', { balancer, server: target.id, wanted, seen });
  }
}

const isNews = ({ server, weight, note }: IpvsEdit): boolean =>
  server.weight !== weight ||
  server.note?.rotation !== note?.rotation ||
  server.note?.weight !== note?.weight;

/**
 * Which table of which start of the machine it is, as far as one can tell: the kernel gives a table no name. That one was
 * made anew shows in a service that has counted fewer connections than it had before, and only to who looked before.
 */
function incarnations(): Member['incarnationOf'] {
  let before: ReadonlyMap<string, number> = new Map();
  let tables = 1;
  return ({ bootId, services }) => {
    if (services.some(({ service, connections }) => (connections ?? 0) < (before.get(service) ?? 0)))
      tables += 1;
    before = new Map(services.map(({ service, connections }) => [service, connections ?? 0]));
    return `boot ${bootId}, table ${tables}`;
  };
}
