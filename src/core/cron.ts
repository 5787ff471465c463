import { list } from './errors.ts';
import type { NodeName } from './node.ts';
import { livePool, liveRelease, type NodeState, nodeState, type Observation } from './observation.ts';
import { predict } from './predict.ts';
import type { Site } from './site.ts';
import type { Step, StepOf } from './step.ts';

/** A site without settings for it has no cron: what stands on nodes is left over. */
export const mayHaveCron = ({ cron, nodes }: Pick<Site, 'cron' | 'nodes'>, name: NodeName): boolean =>
  cron !== null &&
  nodes.some(
    (node) => node.name === name && (cron.node === name || (cron.role && node.roles.includes(cron.role))),
  );

/** The nodes that were read and may begin jobs, the one that got the cron last first. */
export const cronHolders = ({ nodes }: Observation): readonly NodeName[] =>
  Object.values(nodes)
    .filter(({ cron }) => cron.block !== 'none')
    .toSorted((a, b) => ((a.cron.since ?? '') < (b.cron.since ?? '') ? 1 : -1))
    .map(({ name }) => name);

/** Who is to have it: of those that can, the one that has it, else the first. */
export function cronOwner(site: Site, observed: Observation): NodeName | null {
  const able = ableNodes(site, observed);
  return cronHolders(observed).find((name) => able.includes(name)) ?? able[0] ?? null;
}

/** Those that may have it and can run the site's jobs: of two pools those of the one that gets the traffic, if it has any. */
function ableNodes(site: Site, observed: Observation): readonly NodeName[] {
  const able = site.nodes
    .map(({ name }) => name)
    .filter((name) => mayHaveCron(site, name) && canRun(observed.nodes[name]));
  const live = livePool(observed);
  const aimedAt = able.filter((name) => live !== null && observed.nodes[name]?.pool === live);
  return aimedAt.length > 0 ? aimedAt : able;
}

/** It could have the cron by its role, but another pool gets the traffic, and has a node that can have it. */
export function isBesideTraffic(site: Site, observed: Observation, name: NodeName): boolean {
  const pool = observed.nodes[name]?.pool ?? null;
  const able = ableNodes(site, observed);
  return (
    pool !== null &&
    site.cron?.node === null &&
    able.length > 0 &&
    able.every((other) => observed.nodes[other]?.pool !== pool)
  );
}

const canRun = (node: NodeState | undefined): boolean =>
  node?.unreachable === null && liveRelease(node) !== null;

export interface CronInput {
  readonly site: Site;
  readonly observed: Observation;
  /** What the run does besides. */
  readonly steps: readonly Step[];
  /** On the way back a node that has the cron keeps it, whoever is to have it, unless traffic goes to another pool. */
  readonly goesBack: boolean;
}

/**
 * The steps with those around them that bring the cron to its node, and to no other. What is too many goes before
 * anything else is done; the cron moves at the end, when the release that it is to run is live, but with the traffic
 * where that is flipped. Nobody gets it while a node that may have it cannot be read.
 */
export function withCron({ site, observed, steps, goesBack }: CronInput): readonly Step[] {
  const holders = cronHolders(observed);
  const owner = goesBack ? keeper(site, observed, steps) : comingOwner(site, observed, steps);
  const hold = goesBack ? 'never' : (site.cron?.hold ?? 'never');
  const held = hold === 'deploy' && steps.length > 0;
  const early = held ? holders : holders.length > 1 ? holders.filter((name) => name !== owner) : [];
  const left = holders.filter((name) => !early.includes(name));
  const others = left.filter((name) => name !== owner);
  const inner = hold === 'migrations' ? aroundMigrations(steps, left[0] ?? null, owner) : steps;
  const isThere =
    owner !== null &&
    left.includes(owner) &&
    !(site.cron?.file && changesRelease(steps, owner)) &&
    (goesBack || !needsWriting(site, inner.reduce(predict, observed), owner));
  const at = goesBack || held ? inner.length : withTraffic(inner);
  return [
    ...(early.length > 0 ? [cron(early, null)] : []),
    ...inner.slice(0, at),
    ...(others.length === 0 && (owner === null || isThere) ? [] : [cron(others, owner)]),
    ...inner.slice(at),
  ];
}

/** Behind the flip; where that was done by a run that died, before the rest of what follows it; else at the end. */
function withTraffic(steps: readonly Step[]): number {
  const flipped = steps.findLastIndex(({ kind }) => kind === 'flip');
  if (flipped >= 0) return flipped + 1;
  const baked = steps.findIndex((step) => step.kind === 'hold' && step.flipped !== null);
  return baked >= 0 ? baked : steps.length;
}

/**
 * Whoever has the cron has it again as soon as the database is migrated: what is to move, moves with a flip of traffic,
 * or at the end.
 */
function aroundMigrations(
  steps: readonly Step[],
  holder: NodeName | null,
  owner: NodeName | null,
): readonly Step[] {
  const flipped = steps.findLastIndex(({ kind }) => kind === 'flip');
  return steps.flatMap((step, index) => {
    const had = flipped >= 0 && index > flipped ? (owner ?? holder) : holder;
    if (had === null || !isMigration(step)) return [step];
    return [
      ...(isMigration(steps[index - 1]) ? [] : [cron([had], null)]),
      step,
      ...(isMigration(steps[index + 1]) ? [] : [cron([], had)]),
    ];
  });
}

const isMigration = (step: Step | undefined): boolean =>
  step?.kind === 'hook' && (step.duty === 'expand' || step.duty === 'contract');

/** Whoever is to have it after the steps; while none of those can, whoever has it. */
function comingOwner(site: Site, observed: Observation, steps: readonly Step[]): NodeName | null {
  if (site.cron === null) return null;
  const holder = cronHolders(observed)[0] ?? null;
  const isBlind = Object.values(observed.nodes).some(({ unreachable }) => unreachable !== null);
  if (holder === null && isBlind) return null;
  return cronOwner(site, steps.reduce(predict, observed)) ?? holder;
}

/** Whoever has it, and is not beside the traffic then; or still runs its jobs. */
function keeper(site: Site, observed: Observation, steps: readonly Step[]): NodeName | null {
  if (site.cron === null) return null;
  const after = steps.reduce(predict, observed);
  const holders = cronHolders(observed);
  const stays =
    holders.length > 0
      ? holders.find((name) => !isBesideTraffic(site, after, name))
      : Object.values(observed.nodes).find((node) => node.cron.running.length > 0 && canRun(node))?.name;
  return stays ?? comingOwner(site, observed, steps);
}

const needsWriting = (site: Site, observed: Observation, name: NodeName): boolean =>
  mayHaveCron(site, name) && nodeState(observed, name).cron.block !== 'as set';

/** The jobs of a file in the release come and go with it. */
const changesRelease = (steps: readonly Step[], node: NodeName): boolean =>
  steps.some(({ kind, nodes }) => kind === 'activate' && nodes.includes(node));

/** Takes the cron off `from`, waits for the jobs there, and puts it on `to`. */
export const cron = (
  from: readonly NodeName[],
  to: NodeName | null,
  off: readonly NodeName[] = [],
): StepOf<'cron'> => ({
  kind: 'cron',
  nodes: [...from, ...(to === null || from.includes(to) ? [] : [to])],
  from,
  to,
  off,
});

/** What is not as it should be, each a sentence. */
export function cronRemarks(site: Site, observed: Observation): readonly string[] {
  const holders = cronHolders(observed);
  const owner = cronOwner(site, observed);
  if (holders.length > 1) {
    const rest = owner === null ? '' : ` ${owner} is to have it;`;
    return [
      `TWO CRONS: ${list(holders.toSorted())} run the jobs of the site.${rest} the next deploy takes it off the others before anything else.`,
    ];
  }
  const [holder] = holders;
  if (holder === undefined) {
    const anyLive = Object.values(observed.nodes).some((node) => liveRelease(node) !== null);
    return site.cron !== null && anyLive
      ? [`No node that could be read has the cron of the site: its jobs do not run.`]
      : [];
  }
  if (site.cron === null)
    return [`${holder} runs jobs of a cron that the settings no longer have: the next deploy takes it off.`];
  if (!mayHaveCron(site, holder))
    return [
      `${holder} has the cron of the site, and ${owner ?? 'another node'} is to have it: the next deploy moves it.`,
    ];
  if (isBesideTraffic(site, observed, holder))
    return [
      `${holder} has the cron of the site, and its pool gets no traffic: the next deploy moves it to ${owner}.`,
    ];
  return nodeState(observed, holder).cron.block === 'other'
    ? [`The cron of ${holder} is not what the settings say, or is not whole: the next deploy writes it anew.`]
    : [];
}
