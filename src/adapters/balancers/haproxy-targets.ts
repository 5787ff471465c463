import { failure } from '../../core/errors.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import { isList } from './haproxy-map.ts';
import type { HaproxyOptions } from './haproxy-options.ts';
import type { ServerName } from './haproxy-wire.ts';
import type { Target } from './target.ts';

/** The servers that one member has for the nodes, in each backend. */
export type HaproxyTarget = Target & ServerName;

export const targetsOf = (
  balancer: BalancerName,
  { backend: backends, servers }: Pick<HaproxyOptions, 'backend' | 'servers'>,
  {
    nodes,
    pools,
    suffix,
  }: {
    readonly nodes: readonly NodeName[];
    readonly pools: Readonly<Record<NodeName, PoolName>>;
    readonly suffix: string;
  },
): readonly HaproxyTarget[] => {
  const targets = (backend: string, names: readonly NodeName[]): readonly HaproxyTarget[] =>
    names.map((node) => {
      const server = servers[node] ?? node;
      return { node, backend, server, id: `${balancer} ${backend}/${server}${suffix}` };
    });
  return isList(backends)
    ? backends.flatMap((backend) => targets(backend, nodes))
    : Object.entries(backends).flatMap(([pool, backend]) =>
        targets(
          backend,
          nodes.filter((node) => pools[node] === pool),
        ),
      );
};

/** Throws `BALANCER_SERVER_UNKNOWN`. */
export function found<S extends ServerName>(
  { balancer }: { readonly balancer: BalancerName },
  target: HaproxyTarget,
  servers: readonly S[],
): S {
  const server = servers.find((s) => s.backend === target.backend && s.server === target.server);
  if (server) return server;
  const near = servers.filter(({ backend }) => backend === target.backend);
  throw failure('BALANCER_SERVER_UNKNOWN', {
    balancer,
    server: `${target.backend}/${target.server}`,
    node: target.node,
    known: (near.length > 0 ? near : servers).map((s) => `${s.backend}/${s.server}`),
  });
}
