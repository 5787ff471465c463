import { count, list, lockStaleMs } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import {
  isHeldOut,
  isReady,
  isServing,
  type LockState,
  liveParts,
  livePool,
  liveRelease,
  locksIn,
  type MaintenanceState,
  type NodeState,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
  servingNodes,
} from '../core/observation.ts';
import type { ReleaseId } from '../core/release.ts';
import type { NodeListing } from '../core/site.ts';
import { aimsOf, sharesOf } from '../core/target.ts';
import { duration } from './amount.ts';
import { listsText } from './lists-text.ts';
import type { Paint } from './paint.ts';
import { shortRevision } from './release-text.ts';
import { remarksText } from './remarks-text.ts';
import { byBalancer, serversText } from './servers-text.ts';
import { table } from './table.ts';

export interface StatusView {
  /** As the user named it, for commands that are suggested. */
  readonly wanted: string;
  readonly servingMin: number;
  readonly observed: Observation;
  /** Nodes that are to get no traffic; default: none. */
  readonly apart?: readonly NodeName[];
  /** What is to be said beside what nodes and balancers show. */
  readonly remarks?: readonly string[];
  /** Where nodes come from that the config does not name; default: it names all. */
  readonly lists?: readonly NodeListing[];
  readonly paint: Paint;
}

/** What is so on nodes and balancers, and then whatever is not as it should be. */
export function statusText(view: StatusView): string {
  const { wanted, servingMin, observed, paint, apart = [], lists = [] } = view;
  const web = Object.keys(observed.nodes).filter((name) => !apart.includes(name));
  const [serving, total] = [servingNodes(observed).filter((name) => web.includes(name)).length, web.length];
  const tone = serving < servingMin ? paint.bad : paint.strong;
  const remarks = remarksOf(view);
  return [
    tone(`${wanted}: ${serving} of ${count(total, 'node')} serving (servingMin ${servingMin})`),
    ...poolLines(observed),
    ...(lists.length === 0 ? [] : [listsText(lists)]),
    '',
    nodeTable(view),
    '',
    ...remarksText(remarks, paint),
    '',
  ].join('\n');
}

/** The release that is live on most nodes that get traffic together, of several the newest; null if none is. */
export function mostLive(observed: Observation): ReleaseId | null {
  const pool = livePool(observed);
  return mostCommon(Object.values(observed.nodes).filter((node) => pool === null || node.pool === pool));
}

function mostCommon(nodes: readonly NodeState[]): ReleaseId | null {
  const live = nodes.flatMap((node) => liveRelease(node) ?? []);
  const countOf = (id: ReleaseId): number => live.filter((other) => other === id).length;
  return [...new Set(live)].sort((a, b) => countOf(b) - countOf(a) || (a < b ? 1 : -1))[0] ?? null;
}

/** What is live on most nodes of the same pool. */
const mostAround = ({ nodes }: Observation, { pool }: NodeState): ReleaseId | null =>
  mostCommon(Object.values(nodes).filter((node) => node.pool === pool));

/** Nodes that were read and do not run the release of the others in their pool. */
export const driftedNodes = (observed: Observation): readonly NodeName[] =>
  Object.values(observed.nodes)
    .filter((node) => node.unreachable === null && liveRelease(node) !== mostAround(observed, node))
    .map(({ name }) => name);

/** Which pool gets the traffic, or how much of it each; which balancer thinks what, if they do not agree. */
function poolLines(observed: Observation): readonly string[] {
  if (!hasPools(observed)) return [];
  const pool = livePool(observed);
  if (pool !== null) return [`All traffic goes to pool ${pool}.`];
  const parts = liveParts(observed);
  if (parts !== null) return [`Two pools share the traffic: ${sharesOf(parts).join(', ')}.`];
  return [`Balancers do not agree: traffic goes from ${list(aimsOf(observed))}.`];
}

const hasPools = ({ nodes }: Observation): boolean => Object.values(nodes).some(({ pool }) => pool !== null);

function nodeTable({ observed, paint }: StatusView): string {
  const balancers = [...new Set(observed.balancers.map(({ balancer }) => balancer))].sort();
  const drifted = driftedNodes(observed);
  const rows = Object.values(observed.nodes).map((node) => {
    const tone = drifted.includes(node.name) ? paint.warn : (text: string) => text;
    return [
      node.name,
      tone(liveText(node)),
      tone(shortRevision(liveRevision(node))),
      ...(hasPools(observed) ? [node.pool ?? '-'] : []),
      servingText(observed, node, paint),
      ...byBalancer(observed.servers, balancers, node.name).map((servers) =>
        serversText(servers, paint, { sessions: true }),
      ),
    ];
  });
  const pools = hasPools(observed) ? ['pool'] : [];
  const header = ['node', 'live', 'revision', ...pools, 'serving', ...balancers].map(paint.dim);
  return table([header, ...rows]);
}

/** `warm`: it would serve if its pool got the traffic. */
function servingText(observed: Observation, { name }: NodeState, paint: Paint): string {
  if (isServing(observed, name)) return paint.good('yes');
  return isReady(observed, name) ? paint.dim('warm') : paint.bad('no');
}

function liveText({ unreachable, current }: NodeState): string {
  if (unreachable !== null) return '?';
  return current.kind === 'release' ? current.id : '-';
}

const liveRevision = (node: NodeState): string | null => {
  const live = liveRelease(node);
  return live === null ? null : (releaseOn(node, live)?.revision ?? null);
};

const remarksOf = (view: StatusView): readonly string[] => [
  ...(mostLive(view.observed) === null ? ['No node has a live release yet.'] : []),
  ...(view.remarks ?? []),
  ...lockRemarks(view),
  ...view.observed.witnesses.flatMap(({ unreachable }) => unreachable ?? []),
  ...balancerRemarks(view.observed),
  ...Object.keys(view.observed.nodes).flatMap((node) => nodeRemarks(view, node)),
];

/** One line a run: its lock stands on many nodes. */
function lockRemarks({ observed, wanted }: StatusView): readonly string[] {
  const locked = locksIn(observed);
  const runs = [...new Set(locked.map(({ lock }) => lock.run))];
  return runs.map((run) => {
    const of = locked.filter(({ lock }) => lock.run === run);
    const freshest = of
      .map(({ lock }) => lock)
      .sort((a, b) => Number(b.held !== null) - Number(a.held !== null) || a.silentMs - b.silentMs)[0]!;
    return `${lockText(freshest)}, on ${list(of.map(({ node }) => node))}.${waysOn(freshest, wanted)}`;
  });
}

function waysOn(lock: LockState, wanted: string): string {
  if (lock.held) return ` sluice promote ${wanted} goes on, sluice abort ${wanted} goes back.`;
  return isStale(lock)
    ? ` That run is dead: sluice resume ${wanted} finishes it, sluice abort ${wanted} goes back.`
    : '';
}

/** `locked by ada@laptop since 2026-01-14T09:30:00Z: deploy main …, last heartbeat 4.0 s ago` */
export const lockText = (lock: LockState): string =>
  lock.held
    ? `held by ${lock.holder} since ${lock.held.since}: ${lock.reason}; ${lock.held.why}`
    : `locked by ${lock.holder} since ${lock.startedAt}: ${lock.reason}, last heartbeat ${duration(lock.silentMs)} ago`;

const isStale = ({ silentMs, held }: LockState): boolean => held === null && silentMs > lockStaleMs;

const balancerRemarks = ({ balancers }: Observation): readonly string[] =>
  balancers.flatMap(({ unreachable }) => (unreachable === null ? [] : [unreachable]));

function nodeRemarks(view: StatusView, name: NodeName): readonly string[] {
  const node = nodeState(view.observed, name);
  if (node.unreachable !== null) return [node.unreachable];
  return [
    ...driftRemarks(view.observed, node),
    ...rotationRemarks(view, node),
    ...(node.maintenance === null
      ? []
      : [`${name} is in maintenance mode ${maintenanceText(node.maintenance)}`]),
    ...node.problems,
  ];
}

const maintenanceText = ({ by, since, text }: MaintenanceState): string =>
  by === 'run'
    ? `since ${since}, which the next deploy or rollback that is done lifts`
    : `since ${since}, set by an operator${text === '' ? '' : ` (${text})`}, who lifts it`;

function driftRemarks(observed: Observation, node: NodeState): readonly string[] {
  const [live, most] = [liveRelease(node), mostAround(observed, node)];
  if (most === null) return [];
  if (live === null) return node.current.kind === 'absent' ? [`${node.name} has no live release`] : [];
  return [
    ...(live === most
      ? []
      : [`${node.name} runs ${live}, ${live < most ? 'older' : 'newer'} than ${most} of the others`]),
    ...(releaseOn(node, live)?.failed
      ? [`${node.name} runs ${live}, which failed its checks there`]
      : node.proved === null
        ? [`${node.name} runs ${live}, and has not answered its checks since it was made live`]
        : []),
  ];
}

function rotationRemarks(
  { observed, wanted, apart = [] }: StatusView,
  { name, drained, lock }: NodeState,
): readonly string[] {
  if (observed.balancers.length === 0 || apart.includes(name)) return [];
  const servers = serversOf(observed, name);
  if (servers.length === 0) return [`${name} is known to no balancer that could be read`];
  const abandoned = lock === null || isStale(lock);
  const down = servers.filter(({ rotation, health }) => rotation === 'in' && health === 'down');
  return [
    ...down.map(({ server }) => `${name} is in rotation and does not serve: ${server} finds it down`),
    ...(isHeldOut(observed, name)
      ? [
          `${name} was taken out of rotation by an operator, and no deploy puts it back: sluice enable ${wanted} ${name} does`,
        ]
      : []),
    ...(drained.length > 0 && abandoned
      ? [
          `${name} was left out of rotation by a run: sluice deploy ${wanted} goes on, sluice enable ${wanted} ${name} only puts it back`,
        ]
      : []),
    ...(new Set(servers.map(({ rotation }) => rotation)).size > 1
      ? [
          `${name}: balancers disagree: ${servers.map(({ server, rotation }) => `${server} ${rotation}`).join(', ')}`,
        ]
      : []),
  ];
}
