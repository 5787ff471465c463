import { list } from './errors.ts';
import type { NodeName } from './node.ts';
import {
  type AddressState,
  type BalancerState,
  liveParts,
  livePool,
  type Observation,
  type ServerState,
} from './observation.ts';
import { aimsOf } from './target.ts';

/** Whether all members of all balancers were read and see the same: each sentence says where they do not. Pure. */
export const disagreements = (observed: Observation): readonly string[] => [
  ...observed.balancers.flatMap(({ unreachable }) => (unreachable === null ? [] : [unreachable])),
  ...observed.addresses.flatMap(strayAddress),
  ...poolDisagreement(observed),
  ...Object.keys(observed.nodes).flatMap((node) => nodeDisagreements(observed, node)),
];

/** How a member is called: as its balancer, where that has but one. */
export const memberName = (
  { balancers }: Pick<Observation, 'balancers'>,
  { balancer, member }: Pick<BalancerState, 'balancer' | 'member'>,
): string =>
  balancers.filter((one) => one.balancer === balancer).length > 1 ? `${balancer} ${member}` : balancer;

function strayAddress({ address, ip, holders, unasked }: AddressState): readonly string[] {
  const name = `Address ${address} (${ip})`;
  return [
    ...(holders.length > 1
      ? [`${name} is held by ${list(holders)} at once: they have lost sight of each other.`]
      : []),
    ...(holders.length === 0 ? [`${name} is seen to be held by nobody.`] : []),
    ...unasked.map(({ machine, reason }) => `${name}: whether ${machine} holds it cannot be seen: ${reason}`),
  ];
}

function poolDisagreement(observed: Observation): readonly string[] {
  const hasPools = Object.values(observed.nodes).some(({ pool }) => pool !== null);
  if (!hasPools || livePool(observed) !== null || liveParts(observed) !== null) return [];
  return [`Balancers do not send traffic to one and the same pool: ${list(aimsOf(observed))}.`];
}

const nodeDisagreements = (observed: Observation, node: NodeName): readonly string[] =>
  Object.entries(views).flatMap(([what, view]) => {
    const said = observed.servers
      .filter((server) => server.node === node)
      .flatMap((server) => {
        const text = view(server);
        return text === null ? [] : [{ by: memberName(observed, server), text }];
      });
    const texts = [...new Set(said.map(({ text }) => text))];
    if (texts.length < 2) return [];
    const each = texts.map(
      (text) =>
        `${text} at ${list([...new Set(said.filter((one) => one.text === text).map(({ by }) => by))])}`,
    );
    return [`Balancers do not agree on the ${what} of ${node}: ${list(each)}.`];
  });

/** What members may say of a server; null: this one says nothing. Who is not checked is not ill. */
const views: { readonly [what: string]: (server: ServerState) => string | null } = {
  rotation: ({ rotation }) => rotation,
  health: ({ rotation, health }) => (rotation === 'in' && health !== 'unchecked' ? health : null),
  weight: ({ weight }) => `${Math.round(weight)} %`,
};
