import { failure } from '../../core/errors.ts';
import { describe, mapOf, refine, variantOf } from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { AddressState } from '../../core/observation.ts';
import type { Balancer, BalancerCapabilities, BalancerView, FloatingAddress, Host } from '../../ports.ts';
import { addressKinds } from '../addresses/index.ts';
import type { AddressKind } from '../addresses/kind.ts';
import { type BalancerKind, balancerKind } from './kind.ts';
import { sshHost } from './ssh-host.ts';

interface AddressOptions {
  readonly address: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> };
  readonly machines: Readonly<Record<PoolName, Host>>;
}

const capabilities: BalancerCapabilities = {
  drain: 'hard',
  sessions: 'none',
  settleMs: 0,
  successor: { rotation: 'kept', requests: 'counted' },
  weights: 'none',
  flip: 'kept',
  flipsOnly: true,
  counters: false,
};

/**
 * A floating address as the switch between two pools: each has a machine in front of it, a balancer or its only node, and
 * all traffic goes to the one that holds the address. A flip moves it, which cuts the requests in flight. No node can be taken out by it.
 */
export const address: BalancerKind = balancerKind<AddressOptions>({
  summary:
    'A floating address that moves from the machine in front of one pool to that of the other. Only for strategy blue-green.',
  capabilities,
  options: {
    address: describe(
      'The address: its kind, and the options of that kind, without balancers. Its machines have the names of the pools.',
      variantOf('kind', addressKinds),
    ),
    machines: describe(
      'The machine that holds the address while the pool is live, for each pool.',
      refine(
        mapOf(sshHost, 'the name of a pool'),
        'an object with a machine for each of two pools',
        (machines) => Object.keys(machines).length === 2,
      ),
    ),
  },
  create({ name, options: { address: settings, machines }, nodes, pools = {}, transport }) {
    const kinds: Readonly<Record<string, AddressKind>> = addressKinds;
    const floating = kinds[settings.kind]!.create({ name, options: settings.options, machines, transport });
    return driver(
      floating,
      Object.values(machines),
      nodes.map((node) => ({ node, pool: pools[node] ?? null })),
    );
  },
});

interface PoolNode {
  readonly node: NodeName;
  readonly pool: PoolName | null;
}

const driver = (floating: FloatingAddress, hosts: readonly Host[], nodes: readonly PoolNode[]): Balancer => {
  const { name, move } = floating;
  const refused = (request: string) => () =>
    Promise.reject(
      failure('BALANCER_REFUSED', { balancer: name, request, answer: 'it only moves an address' }),
    );
  return {
    name,
    hosts,
    capabilities: { ...capabilities, flip: move === null ? 'none' : 'kept' },
    observe: async (signal) => viewOf(await floating.holders(signal), nodes),
    change: refused('take a node out or in'),
    shift: refused('set a weight'),
    flip: move ?? refused('flip'),
    count: refused('count'),
    describe: ({ node, to }) => `${node} ${to}`,
    close: async () => {},
  };
};

/**
 * The pool whose machine alone holds the address is live, and what it has in flight nobody counts; whatever the other one had, the move
 * cut. Of a machine that cannot be asked nobody knows, unless another is seen to hold it.
 */
function viewOf(
  { address: balancer, holders, unasked }: AddressState,
  nodes: readonly PoolNode[],
): BalancerView {
  const isUnseen = holders.length === 0 && unasked.length > 0;
  const unreachable = isUnseen ? unasked.map(({ reason }) => reason).join(' ') : null;
  const pool = holders.length === 1 ? holders[0]! : null;
  const servers = nodes.map(({ node, pool: own }) => ({
    balancer,
    member: balancer,
    node,
    server: `${balancer} ${node}`,
    rotation: 'in' as const,
    health: 'unchecked' as const,
    sessions: pool !== null && own !== pool ? 0 : null,
    weight: 100,
  }));
  return {
    members: [{ balancer, member: balancer, unreachable, incarnation: 'an address', pool }],
    servers: isUnseen ? [] : servers,
  };
}
