import { setUp } from '../commands/setup.ts';
import { cronHolders, cronRemarks } from '../core/cron.ts';
import { failure, list } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { isReady, livePool, liveRelease, locksIn, type Observation, serversOf } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import { aimsOf } from '../core/target.ts';
import type { Balancer, Ports } from '../ports.ts';
import { onNode } from './run.ts';

export interface Preflight {
  /** What must be mended first, each a sentence. */
  readonly problems: readonly string[];
  /** What a person should know, and may be meant. */
  readonly warnings: readonly string[];
}

/** What an observation says against changing the site. Pure. */
export function preflight(site: Site, observed: Observation, skipped: readonly NodeName[] = []): Preflight {
  const nodes = Object.values(observed.nodes).filter(({ name }) => !skipped.includes(name));
  const unserved =
    observed.balancers.length === 0
      ? []
      : nodes.filter(
          ({ name }) =>
            site.nodes.some((node) => node.name === name && node.traffic) &&
            liveRelease(observed.nodes[name]!) !== null &&
            !isReady(observed, name),
        );
  return {
    problems: [
      ...nodes.flatMap(({ unreachable }) => (unreachable === null ? [] : [unreachable])),
      ...nodes.flatMap(({ problems }) => problems),
      ...observed.balancers.flatMap(({ unreachable }) => (unreachable === null ? [] : [unreachable])),
    ],
    warnings: [
      ...(cronHolders(observed).length > 0 ? cronRemarks(site, observed) : []),
      ...(hasPools(site) && livePool(observed) === null
        ? [`Balancers do not send traffic to one and the same pool: ${list(aimsOf(observed))}.`]
        : []),
      ...unserved.map(({ name }) => `${name} does not serve now: ${rotationText(observed, name)}.`),
      ...(site.checks.length === 0 ? ['There are no checks: a broken release would take traffic.'] : []),
    ],
  };
}

const hasPools = ({ nodes }: Site): boolean => nodes.some(({ pool }) => pool !== null);

/** What the balancers' abilities say against a site with pools. Pure. */
export function preflightPools(site: Site, balancers: readonly Balancer[]): Preflight {
  if (!hasPools(site)) return { problems: [], warnings: [] };
  const named = (flip: Balancer['capabilities']['flip']): readonly string[] =>
    balancers.filter(({ capabilities }) => capabilities.flip === flip).map(({ name }) => name);
  return {
    problems: [
      ...(balancers.length === 0 ? ['Without a balancer, nothing can be flipped between pools.'] : []),
      ...named('none').map(
        (name) => `Balancer ${name} cannot flip: its settings do not say how it chooses a pool.`,
      ),
    ],
    warnings: named('forgotten').map(
      (name) =>
        `Balancer ${name} forgets a flip when it starts anew: it then sends traffic where its own files say.`,
    ),
  };
}

/** Balancers that can take no node out, where the strategy lives by that. Pure. */
export const flipsOnlyProblems = (
  { flips, name: strategy }: Pick<Strategy, 'name' | 'flips'>,
  balancers: readonly Balancer[],
): readonly string[] =>
  flips
    ? []
    : balancers
        .filter(({ capabilities }) => capabilities.flipsOnly)
        .map(
          ({ name }) =>
            `balancers.${name}: it only moves all traffic from one pool to the other, and strategy ${strategy} takes nodes out of rotation. Use strategy blue-green; or name the balancers behind the address under balancers, and the address itself under addresses.`,
        );

/** Balancers that cannot keep to a time of WebSockets: it would hold for requests too. Pure. */
export const webSocketProblems = (
  { drain }: Pick<Site, 'drain'>,
  balancers: readonly Balancer[],
): readonly string[] =>
  drain.webSocketsMs === undefined
    ? []
    : balancers
        .filter(({ webSockets }) => webSockets === undefined)
        .map(
          ({ name }) =>
            `Balancer ${name} cannot tell WebSockets from requests: it cannot keep to drain.webSockets.`,
        );

const rotationText = (observed: Observation, node: NodeName): string =>
  serversOf(observed, node)
    .map(({ server, rotation, health }) => `${server} is ${rotation} and ${health}`)
    .join(', ') || 'no balancer has it';

export interface Excused {
  /** Runs whose locks are no obstacle. */
  readonly takesOver?: readonly string[];
  /** Nodes that are left out. */
  readonly skipped?: readonly NodeName[];
}

/** Throws `LOCKED` or `PREFLIGHT` if the site must not be changed now. */
export function refuseUnfit(
  site: Site,
  observed: Observation,
  { takesOver = [], skipped = [] }: Excused = {},
): void {
  refuseLocked(observed, takesOver);
  const { problems } = preflight(site, observed, skipped);
  if (problems.length > 0) throw failure('PREFLIGHT', { problems });
}

/** Throws `LOCKED` if a run that is not among `takesOver` holds a node. */
export function refuseLocked(observed: Observation, takesOver: readonly string[] = []): void {
  const held = locksIn(observed).find(({ lock }) => !takesOver.includes(lock.run));
  if (held) throw failure('LOCKED', held);
}

/** Makes the directories of an empty `deployTo` on every node. What is there stays as it is. */
export async function setup(site: Site, ports: Ports): Promise<void> {
  await Promise.all(site.nodes.map((node) => onNode(ports, node, setUp(site))));
}
