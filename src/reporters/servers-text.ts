import type { NodeName } from '../core/node.ts';
import type { ServerState } from '../core/observation.ts';
import type { BalancerName } from '../core/site.ts';
import type { Paint } from './paint.ts';

/** What one balancer was told of a node and thinks of it: `in, up`, with its weight where it is not the configured one; several servers that differ stand side by side. */
export function serversText(
  servers: readonly ServerState[],
  paint: Paint,
  options = { sessions: false },
): string {
  const texts = servers.map((server) => {
    const sessions = options.sessions && server.sessions !== null ? `, ${server.sessions} in flight` : '';
    const weight = server.weight === 100 ? '' : `, weight ${Number(server.weight.toFixed(1))} %`;
    return tone(server, paint)(`${server.rotation}, ${server.health}`) + weight + sessions;
  });
  return texts.length === 0 ? paint.bad('none') : [...new Set(texts)].join(' / ');
}

/** One list of servers for each balancer, in order of the balancers' names. */
export const byBalancer = (
  servers: readonly ServerState[],
  balancers: readonly BalancerName[],
  node: NodeName,
) =>
  balancers.map((balancer) =>
    servers.filter((server) => server.balancer === balancer && server.node === node),
  ) as readonly (readonly ServerState[])[];

export const balancersOf = (servers: readonly ServerState[]): readonly BalancerName[] =>
  [...new Set(servers.map(({ balancer }) => balancer))].sort();

const tone = ({ rotation, health }: ServerState, paint: Paint): ((text: string) => string) => {
  if (rotation !== 'in') return paint.warn;
  return health === 'up' || health === 'unchecked' ? paint.good : paint.bad;
};
