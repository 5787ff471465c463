import type { Node } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';

/**
 * The machines that vote on the lock besides the nodes: those of the config, and those of balancers that are reached
 * over the transport. A machine votes once.
 */
export function witnessesOf(
  { witnesses, nodes }: Site,
  { balancers }: Pick<Ports, 'balancers'>,
): readonly Node[] {
  const hosts = balancers
    .flatMap(({ hosts }) => hosts)
    .map((host) => ({ ...host, roles: [], labels: {}, pool: null, traffic: false }));
  const known = new Set(nodes.map(({ address }) => address));
  return [...witnesses, ...hosts].filter(({ address }) => !known.has(address) && known.add(address));
}
