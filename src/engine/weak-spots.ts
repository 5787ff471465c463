import { count, list } from '../core/errors.ts';
import type { Observation } from '../core/observation.ts';
import type { BalancerName, DrainSettings } from '../core/site.ts';
import type { Balancer } from '../ports.ts';

/**
 * What balancers could do to the site although nothing is wrong now, each a sentence: for a person to weigh, and no
 * obstacle to a deploy. Pure.
 */
export const weakSpots = (
  balancers: readonly Balancer[],
  observed: Observation,
  drain: Pick<DrainSettings, 'timeoutMs'>,
): readonly string[] => [
  ...single(observed),
  ...unnoticing(observed),
  ...slow(observed, drain.timeoutMs),
  ...ownSettings(observed),
  ...forgetful(balancers),
];

function single({ balancers }: Observation): readonly string[] {
  const [only, ...others] = balancers;
  if (only === undefined || others.length > 0) return [];
  return [
    `Balancer ${only.balancer} is the only one: if it does not stand for several machines itself, the site is gone with it.`,
  ];
}

/** Whoever is sent requests without being checked is sent them when it is dead as well. */
function unnoticing({ balancers, servers }: Observation): readonly string[] {
  return namesOf(balancers).flatMap((name) => {
    const unchecked = servers.filter(
      ({ balancer, rotation, health }) => balancer === name && rotation === 'in' && health === 'unchecked',
    );
    const nodes = [...new Set(unchecked.map(({ node }) => node))];
    if (nodes.length === 0) return [];
    return [
      `Balancer ${name} makes no health checks of ${list(nodes)}: it does not notice ${nodes.length === 1 ? 'that it is' : 'one that is'} dead.`,
    ];
  });
}

/** Its visitors get errors of a dead node for longer than a deploy waits for the last request of one that is well. */
function slow({ balancers }: Observation, drainMs: number): readonly string[] {
  return namesOf(balancers).flatMap((name) => {
    const times = balancers.map((one) => (one.balancer === name ? (one.noticesDeadWithinMs ?? 0) : 0));
    const noticedMs = Math.max(...times);
    if (noticedMs <= drainMs) return [];
    return [
      `Balancer ${name} notices a dead node only after ${noticedMs / 1000} s of failed checks, as they are set, which is longer than drain.timeout (${drainMs / 1000} s): let it check more often, or believe fewer failures.`,
    ];
  });
}

const ownSettings = ({ balancers }: Observation): readonly string[] =>
  balancers.flatMap(({ balancer, member, weakSpots: spots = [] }) =>
    spots.map((spot) => `Balancer ${balancer} (${member}) ${spot}`),
  );

function forgetful(balancers: readonly Balancer[]): readonly string[] {
  const names = balancers.flatMap(({ name, capabilities }) =>
    capabilities.successor.rotation === 'forgotten' ? [name] : [],
  );
  if (names.length === 0) return [];
  return [
    `${count(names.length, 'balancer')} (${list(names)}) would forget at a restart or reload which nodes are out: a deploy tells it again, but a node that is out by hand would get traffic.`,
  ];
}

const namesOf = (members: Observation['balancers']): readonly BalancerName[] => [
  ...new Set(members.map(({ balancer }) => balancer)),
];
