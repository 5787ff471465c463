import type { SessionCommand } from './session.ts';
import { isUnderWay } from './session.ts';
import { workersOf } from './workers.ts';
import { isIdle, isPooled, isReady, serves, type World } from './world.ts';
import type { WorldEvent } from './world-event.ts';

/** What a life met: a thousand lives that never meet something prove nothing of it. */
export interface Coverage {
  readonly marks: ReadonlySet<string>;
  see(world: World, event: WorldEvent): void;
}

export function newCoverage(): Coverage {
  const marks = new Set<string>();
  return {
    marks,
    see(world, event) {
      if (event.kind === 'step') marks.add(stepMark(event.step.kind));
      if (event.kind !== 'started') return;
      for (const [state, holds] of Object.entries(siteStates)) {
        if (holds(world)) marks.add(commandMark(event.session.command, state as SiteState));
      }
    },
  };
}

export const stepMark = (kind: string): string => `step ${kind}`;
export const commandMark = (command: SessionCommand, state: SiteState): string => `${command}, ${state}`;

export type SiteState = keyof typeof siteStates;

/** In which states of the site a command may begin; several may hold at once. */
export const siteStates = {
  healthy: (world: World) =>
    nodesOf(world).every(
      ({ name, isUp, disk }) =>
        isUp && disk.lock === null && (serves(world, name) || (isIdle(world, name) && isReady(world, name))),
    ) && releasesIn(world).size === 1,
  'node down': (world: World) =>
    nodesOf(world).some(({ isUp, cutOffUntilMs }) => !isUp || world.clock.passedMs() < cutOffUntilMs),
  'locked by a live run': (world: World) =>
    world.sessions.some((session) => isUnderWay(session) && holdsALock(world, session.runs)),
  'locked by a dead run': (world: World) =>
    world.sessions.some((session) => session.isDead && holdsALock(world, session.runs)),
  'node held by an operator': (world: World) =>
    world.members.some(({ servers }) => [...servers.values()].some(({ isHeld }) => isHeld)),
  'node left out by a run': (world: World) => nodesOf(world).some(({ disk }) => disk.drained.length > 0),
  'mixed releases': (world: World) => releasesIn(world).size > 1,
  'two pools': isPooled,
  'empty node': (world: World) => releasesIn(world).has(null),
} as const satisfies Record<string, (world: World) => boolean>;

const nodesOf = ({ nodes }: World) => [...nodes.values()];

const releasesIn = (world: World): ReadonlySet<string | null> =>
  new Set(nodesOf(world).map(({ disk }) => disk.current));

const holdsALock = (world: World, runs: ReadonlySet<string>): boolean =>
  nodesOf(world).some(({ disk }) => disk.lock !== null && runs.has(disk.lock.run));

/** What the world is like from its first moment counts as faults that struck then. */
export function countTraits({ site, faults, balancers, nodes, repository }: World): void {
  for (const { capabilities } of balancers) {
    if (capabilities.drain === 'soft') faults.strike('soft drain only');
    if (capabilities.flipsOnly) faults.strike('flips only');
  }
  if (workersOf(site) !== null) faults.strike('workers');
  for (const { disk } of nodes.values()) if (disk.current === null) faults.strike('join');
  for (const broken of repository.brokenOn.values()) if (broken.length > 0) faults.strike('broken release');
  if (repository.errsAt.size > 0) faults.strike('erring release');
}
