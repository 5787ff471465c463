import { cronRemarks } from '../core/cron.ts';
import { type DeployError, type ExitStatus, list } from '../core/errors.ts';
import type { NodeReport, Report } from '../core/event.ts';
import { isoTime } from '../core/instant.ts';
import type { Before } from '../core/intent.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import {
  isHeldOut,
  isReady,
  isServing,
  livePool,
  liveRelease,
  type MaintenanceState,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
} from '../core/observation.ts';
import type { ReleaseId } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { aimsOf } from '../core/target.ts';
import type { Stop } from './execute.ts';
import type { Aim, Intent } from './propose.ts';
import { goneNodes, type Run, textOf } from './run.ts';

/** A report but for the time that the run took. */
export type Ended = Omit<Report, 'tookMs'>;

/** The end of a run that changed nothing. */
export const nothingDone = (
  outcome: 'nothing to do' | 'refused' | 'locked' | 'interrupted',
  error: DeployError | null,
  nodes: Report['nodes'] = null,
  signal: AbortSignal | null = null,
): Ended => ({
  outcome,
  exit: signal ? signalStatus(signal) : untouched[outcome],
  failure: error && textOf(error),
  warnings: [],
  behind: [],
  backup: null,
  nodes,
});

const untouched = { 'nothing to do': 0, refused: 2, locked: 5, interrupted: 130 } as const;

export interface Facts {
  readonly aim: Aim;
  /** What each node had when all this began. */
  readonly before: Before;
  /** The pool that got the traffic when all this began. */
  readonly pool: PoolName | null;
  readonly stop: Stop | null;
  /** Whether the way back after a stop brought every node back. */
  readonly recovered: boolean;
  /** It waits for a person. */
  readonly held: boolean;
  /** As the run found the site, and as it is now. */
  readonly first: Observation;
  readonly last: Observation;
  readonly signal: AbortSignal;
}

/** How a run ended: from what is so now, not from what was done. What is not as it should be becomes a warning. */
export function judge(
  run: Run,
  { aim, before, pool, stop, recovered, held, first, last, signal }: Facts,
): { readonly outcome: Report['outcome']; readonly exit: ExitStatus } {
  const person = { outcome: 'needs a person', exit: 3 } as const;
  const unread = unreadAtEnd(run, last);
  const reached = aim.target.nodes.filter((node) => !run.leftOut.has(node));
  const gone = goneNodes(run);
  const missing = Object.keys(first.nodes).filter(
    (node) =>
      !gone.includes(node) && isServing(first, node) && !isServing(last, node) && !isReady(last, node),
  );
  const astray = isAstray(last, stop ? null : wantedPool(aim, pool, last));
  const left = aim.target.nodes.filter((node) => !gone.includes(node) && leftOut(run, last, node));
  const wrong = stop
    ? []
    : reached.filter((node) => liveRelease(nodeState(last, node)) !== wantedOn(aim, before, node));
  run.warnings.push(
    ...cronRemarks(run.site, last),
    ...unread,
    ...(unread.length > 0
      ? []
      : [
          ...inMaintenance(run, last),
          ...left.map((node) => `${node} is out of rotation because of this run.`),
          ...(astray ? [`At the end traffic goes from ${list(aimsOf(last))}.`] : []),
          ...missing.map((node) => `${node} served before this run, and does not serve now.`),
          ...wrong.map((node) => `${node} was read back at the end, and does not have what it should.`),
        ]),
  );
  if (!stop && aim.purpose === 'deploy') run.warnings.push(...uncontracted(run, last));
  const untouched = left.length === 0 && isAs(run, { before, pool }, last);
  if (held && (stop?.error.code === 'HELD' || !untouched)) return { outcome: 'held', exit: 4 };
  if (unread.length + left.length + missing.length + wrong.length > 0 || astray || !recovered) return person;
  if (!stop)
    return behindOf(run).length > 0 ? { outcome: 'done in part', exit: 6 } : { outcome: 'done', exit: 0 };
  if (signal.aborted) return { outcome: 'interrupted', exit: signalStatus(signal) };
  return isAs(run, { before, pool }, last) ? { outcome: 'rolled back', exit: 1 } : person;
}

/** Whatever the end: nobody is to find out by chance that visitors are turned away. */
function inMaintenance({ site }: Run, { nodes }: Observation): readonly string[] {
  const of = (by: MaintenanceState['by']): readonly string[] =>
    Object.values(nodes).flatMap(({ name, maintenance }) => (maintenance?.by === by ? [name] : []));
  const [ours, theirs] = [of('run'), of('operator')];
  return [
    ...(ours.length > 0
      ? [
          `Maintenance mode stays on, on ${list(ours)}: the next deploy or rollback that is done lifts it, or sluice maintenance ${site.stage} off.`,
        ]
      : []),
    ...(theirs.length > 0 ? [`An operator set maintenance mode on ${list(theirs)}: it is still on.`] : []),
  ];
}

/** What a later deploy of the release to the last node will do. */
function uncontracted({ site, release }: Run, last: Observation): readonly string[] {
  const waits = [...Object.values(last.nodes)].flatMap((node) =>
    liveRelease(node) === release.id ? [] : [node.name],
  );
  return waits.length === 0 || !site.hooks.some(({ duty }) => duty === 'contract')
    ? []
    : [`The schema is not contracted yet: ${list(waits)} does not have ${release.id}.`];
}

/** What this run took out and did not put back, though there is something to serve. */
const leftOut = (run: Run, last: Observation, node: string): boolean =>
  liveRelease(nodeState(last, node)) !== null &&
  serversOf(last, node).some(
    ({ server, rotation }) => rotation !== 'in' && (run.drained.get(node)?.includes(server) ?? false),
  );

/** What nobody knows of the end. */
const unreadAtEnd = (run: Run, { nodes, balancers }: Observation): readonly string[] =>
  [...Object.values(nodes).filter(({ name }) => !isAway(run, name)), ...balancers].flatMap(
    ({ unreachable }) => (unreachable === null ? [] : [`At the end it could not be read: ${unreachable}`]),
  );

/** Nobody expects to read it. */
const isAway = (run: Run, node: NodeName): boolean =>
  run.skipped.includes(node) || goneNodes(run).includes(node);

/** A run that goes back wants on each node what that had before. */
const wantedOn = ({ purpose, target }: Aim, before: Before, node: string): ReleaseId | null =>
  purpose === 'recovery' ? (before[node]?.id ?? null) : target.release.id;

/** Of two pools, what gets the traffic is as it was: what the other one has serves nobody. Nodes that joined since were not. */
const isAs = (run: Run, { before, pool }: Pick<Facts, 'before' | 'pool'>, last: Observation): boolean =>
  (pool === null || livePool(last) === pool) &&
  Object.values(last.nodes)
    .filter(
      ({ name, pool: own }) =>
        (pool === null || own === pool) && !isAway(run, name) && Object.hasOwn(before, name),
    )
    .every((node) => liveRelease(node) === (before[node.name]?.id ?? null));

/** Where all traffic is to go in the end; null: it is the same, as long as all goes to one pool. */
const wantedPool = (
  { purpose, strategy, target }: Aim,
  before: PoolName | null,
  { nodes }: Observation,
): PoolName | null => {
  if (purpose === 'recovery') return before;
  return strategy.flips ? (target.nodes.map((name: NodeName) => nodes[name]?.pool)[0] ?? null) : null;
};

const isAstray = (last: Observation, wanted: PoolName | null): boolean =>
  last.balancers.some(({ pool }) => pool !== null) &&
  (livePool(last) === null || (wanted !== null && livePool(last) !== wanted));

const signalStatus = (signal: AbortSignal): 130 | 143 => (signal.reason === 'SIGTERM' ? 143 : 130);

/** One line of JSON for `sluice history`. */
export const historyLine = (
  run: Run,
  { command, wanted, outcome }: Pick<Intent, 'command'> & Pick<Aim, 'wanted'> & Pick<Report, 'outcome'>,
): string => {
  const { id, release, ports, minority, site } = run;
  const [behind, gone] = [behindOf(run), goneNodes(run)];
  const remarks = [
    ...(behind.length > 0 ? [`behind: ${behind.join(' ')}`] : []),
    ...(gone.length > 0 ? [`gone: ${gone.join(' ')}`] : []),
    ...(minority ? [`without a quorum (${minority})`] : []),
  ];
  const what = `${command} ${wanted} (${release.revision.slice(0, 7)}) as ${release.id}`;
  return JSON.stringify({
    at: isoTime(ports.clock.nowMs()),
    run: id,
    text: [`${what} by ${ports.operator.name}: ${outcome}`, ...remarks].join(', '),
    nodes: site.nodes.length,
  });
};

/** Nodes that do not have what the others have, by this run. */
export const behindOf = (run: Run): readonly NodeName[] => [
  ...run.skipped,
  ...[...run.leftOut.keys()].filter((node) => !goneNodes(run).includes(node)),
];

/** What is so on each node; with a run, also how long that had it out of rotation. */
export const reportNodes = (site: Site, observed: Observation, run: Run | null): readonly NodeReport[] =>
  site.nodes.map(({ name }) => {
    const state = nodeState(observed, name);
    const release = liveRelease(state);
    return {
      name,
      release,
      revision: release === null ? null : (releaseOn(state, release)?.revision ?? null),
      servers: serversOf(observed, name),
      serving: isServing(observed, name),
      heldOut: isHeldOut(observed, name),
      outMs: run && outOfRotationMs(run, name),
    };
  });

function outOfRotationMs(run: Run, name: string): number | null {
  const rotation = run.rotation.get(name);
  if (!rotation) return null;
  const { leftAtMs, outMs } = rotation;
  return leftAtMs === null ? outMs : outMs + run.ports.clock.nowMs() - leftAtMs;
}
