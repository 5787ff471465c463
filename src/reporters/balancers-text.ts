import { memberName } from '../core/agreement.ts';
import { list } from '../core/errors.ts';
import type { BalancerState, NodeState, Observation } from '../core/observation.ts';
import { sharesOf } from '../core/target.ts';
import type { Paint } from './paint.ts';
import { remarksText } from './remarks-text.ts';
import { serversText } from './servers-text.ts';
import { table } from './table.ts';

export interface BalancersView {
  readonly wanted: string;
  readonly observed: Observation;
  /** What is not as it should be, each a sentence. */
  readonly remarks: readonly string[];
  readonly paint: Paint;
}

/** What each member of each balancer thinks of each node, side by side. */
export const balancersText = (view: BalancersView): string => {
  const { wanted, remarks, paint } = view;
  return [
    paint.strong(`${wanted}: as its balancers see it`),
    '',
    memberTable(view),
    ...view.observed.addresses.map(
      ({ address, ip, holders }) => `${address} (${ip}) is held by ${list(holders)}.`,
    ),
    '',
    ...remarksText(remarks, paint, 'All agree.'),
    '',
  ].join('\n');
};

function memberTable({ observed, paint }: BalancersView): string {
  const nodes = Object.values(observed.nodes).filter(({ name }) =>
    observed.servers.some(({ node }) => node === name),
  );
  const hasPools = nodes.some(({ pool }) => pool !== null);
  const header = ['node', ...observed.balancers.map((member) => memberName(observed, member))];
  const cell = (node: NodeState, member: BalancerState): string => {
    if (member.unreachable !== null) return paint.bad('?');
    const own = observed.servers.filter((server) => server.node === node.name && isOf(member, server));
    return serversText(own, paint, { sessions: true });
  };
  return table([
    header.map(paint.dim),
    ...nodes.map((node) => [node.name, ...observed.balancers.map((member) => cell(node, member))]),
    ...(hasPools ? [['live pool', ...observed.balancers.map(livePoolOf)]] : []),
  ]);
}

const livePoolOf = ({ pool, parts }: BalancerState): string =>
  pool ?? (parts ? sharesOf(parts).join(', ') : '?');

type MemberName = Pick<BalancerState, 'balancer' | 'member'>;

const isOf = (one: MemberName, other: MemberName): boolean =>
  one.balancer === other.balancer && one.member === other.member;
