import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { isAimedAt, type ServerState } from '../../core/observation.ts';
import type { BalancerView } from '../../ports.ts';
import { inFlight } from '../in-flight.ts';
import { patienceMs } from '../observe.ts';
import { capabilitiesOf, type NodeFailure, type Run } from '../run.ts';
import {
  drainOf,
  isEmpty,
  isOurs,
  lookHeld,
  nodesOf,
  readWhole,
  seenBy,
  serversAt,
  settleMsOf,
  until,
} from './look.ts';
import { changeRotation, softest } from './tell.ts';
import { endSessions, webSocketsOf } from './web-sockets.ts';

/**
 * Waits until no request of `nodes` is left at any balancer: soft first where the balancer knows the difference (so
 * that sticky sessions may end), hard once a node is empty or half the time is over. What a balancer forgot, it is
 * told again; a pool that gets no traffic is as good as out. Where WebSockets have a time of their own they are ended when
 * it is over and nothing else is left. A node's time counts from when nothing new was sent there; when it is over the site's policy decides.
 * Returns the nodes that did not drain; throws if interrupted.
 */
export function awaitDrained(run: Run, nodes: readonly NodeName[]): Promise<readonly NodeFailure[]> {
  const { timeoutMs, onTimeout, webSocketsMs = Number.POSITIVE_INFINITY } = run.site.drain;
  const { clock } = run.ports;
  const left = new Map<NodeName, Moments>();
  const webSockets = webSocketsOf(run);
  return until(run, timeoutMs, run.signal, async (passedMs) => {
    const view = await readWhole(run.ports);
    const all = { ...view, servers: [...view.servers, ...leftBehind(run)] };
    const servers = (await inFlight(run, all, nodes)).map((server) =>
      isAimedAt(seenBy(run, view), server) ? server : { ...server, rotation: 'out' as const },
    );
    for (const node of nodes) noteMoments(run, left, servers, node);
    const alone = await webSockets(servers);
    if (await tellAgain(run, servers, { alone, halfTime: passedMs >= timeoutMs / 2 })) {
      if (passedMs < timeoutMs + patienceMs) return null;
      return unheeded(servers.filter((server) => isOurs(run, server) && server.rotation !== 'out'));
    }
    const busy = nodes.filter((node) => isSentTraffic(run, servers, node) || !isLetGo(run, servers, node));
    const due = alone.filter((node) => hardMs(left, node) + webSocketsMs <= clock.nowMs());
    await endSessions(
      run,
      servers.filter(({ node }) => due.includes(node)),
    );
    const hasTime = (node: NodeName): boolean => {
      const { softAtMs, hardAtMs } = left.get(node) ?? never;
      if (softAtMs === null || hardAtMs === null) return passedMs < timeoutMs;
      if (alone.includes(node) && clock.nowMs() < hardAtMs + webSocketsMs + patienceMs) return true;
      const endMs = Math.max(softAtMs + timeoutMs, hardAtMs + timeoutMs / 2);
      return clock.nowMs() < endMs + settleMsOf(run, serversAt(servers, node));
    };
    if (busy.some(hasTime)) return null;
    if (nodes.some((node) => !busy.includes(node) && !isQuiet(run, left.get(node) ?? never, servers, node)))
      return null;
    return busy.length === 0 ? [] : overdue(run, busy, servers, onTimeout);
  });
}

/** Nothing new comes through an absent balancer, and what was in flight there when it was last seen has its time: nobody counts it. */
function leftBehind({ absences, ports, site }: Run): readonly ServerState[] {
  const recent = [...absences.values()].filter(
    ({ sinceMs }) => ports.clock.nowMs() - sinceMs < site.drain.timeoutMs,
  );
  return recent.flatMap(({ seen }) =>
    seen.flatMap((server) =>
      server.sessions === 0 ? [] : { ...server, rotation: 'out' as const, sessions: null },
    ),
  );
}

/** When a node was first seen to be out of rotation, and to be sent nothing any more, not even by sticky sessions. */
interface Moments {
  readonly softAtMs: number | null;
  readonly hardAtMs: number | null;
  /** Looks in a row that showed it empty. */
  readonly emptyLooks: number;
}

const never: Moments = { softAtMs: null, hardAtMs: null, emptyLooks: 0 };

/** What was in flight had time to be seen: a balancer may lag behind what it says, and an estimate may miss a request. */
function isQuiet(
  run: Run,
  { hardAtMs, emptyLooks }: Moments,
  servers: readonly ServerState[],
  node: NodeName,
): boolean {
  const own = serversAt(servers, node);
  const isExact = own.every(({ balancer }) => capabilitiesOf(run.ports, balancer).sessions === 'exact');
  const quietMs = hardAtMs === null ? 0 : run.ports.clock.nowMs() - hardAtMs;
  return run.forced.has(node) || (quietMs >= settleMsOf(run, own) && emptyLooks >= (isExact ? 1 : 2));
}

const hardMs = (left: ReadonlyMap<NodeName, Moments>, node: NodeName): number =>
  left.get(node)?.hardAtMs ?? Number.POSITIVE_INFINITY;

function noteMoments(
  run: Run,
  left: Map<NodeName, Moments>,
  servers: readonly ServerState[],
  node: NodeName,
): void {
  const nowMs = run.ports.clock.nowMs();
  const { softAtMs, hardAtMs, emptyLooks } = momentsOf(run, left, node);
  if (servers.some((server) => server.node === node && server.rotation === 'in')) {
    // What came in since has its whole time.
    left.delete(node);
    run.forced.delete(node);
  } else {
    left.set(node, {
      softAtMs: softAtMs ?? nowMs,
      hardAtMs: isSentTraffic(run, servers, node) ? null : (hardAtMs ?? nowMs),
      emptyLooks: isEmpty(servers, node) ? emptyLooks + 1 : 0,
    });
  }
}

/** They begin anew once the node came in behind the back of these looks, and was told out again by another. */
function momentsOf(run: Run, left: ReadonlyMap<NodeName, Moments>, node: NodeName): Moments {
  const moments = left.get(node) ?? never;
  const strayedAtMs = run.strayedAtMs.get(node) ?? Number.NEGATIVE_INFINITY;
  return moments.softAtMs !== null && strayedAtMs >= moments.softAtMs ? never : moments;
}

/** A balancer sent requests to a node that this run has out: they have their whole time, whoever waits for the node. */
export function noteStray(run: Run, node: NodeName): void {
  run.strayedAtMs.set(node, run.ports.clock.nowMs());
  run.forced.delete(node);
}

/** What a balancer was told, to the end of all patience, and does not show. */
const unheeded = (servers: readonly ServerState[]): readonly NodeFailure[] =>
  servers.map(({ balancer, node, server, rotation }) => ({
    node,
    error: failure('BALANCER_NOT_APPLIED', { balancer, server, wanted: 'out', seen: rotation }),
  }));

/** Tells the balancers what they forgot, and the harder word where it is time. Says whether there was anything to tell. */
async function tellAgain(
  run: Run,
  servers: readonly ServerState[],
  { alone, halfTime }: { readonly alone: readonly NodeName[]; readonly halfTime: boolean },
): Promise<boolean> {
  const forgotten = servers.filter((server) => isOurs(run, server) && server.rotation === 'in');
  // Also what an operator is draining, or a run that failed: it stays out, and sticky requests must not meet the change.
  const hardened = servers.filter(
    (server) =>
      server.rotation === 'draining' &&
      drainOf(run.ports, server) !== 'soft' &&
      (isEmpty(servers, server.node) ||
        alone.includes(server.node) ||
        halfTime ||
        run.forced.has(server.node)),
  );
  if (forgotten.length + hardened.length === 0) return false;
  // A node that was put back behind our back may be needed now.
  await lookHeld(run, nodesOf([...forgotten, ...hardened]));
  if (forgotten.length > 0) await changeRotation(run, forgotten, softest(run.ports, forgotten));
  if (hardened.length > 0) await changeRotation(run, hardened, 'out');
  return true;
}

export interface Leaving {
  readonly nodes: readonly NodeName[];
  /** The fewest nodes that must go on serving. */
  readonly servingMin: number;
  /** Of what is seen, the servers that leave. */
  readonly choose: (view: BalancerView) => readonly ServerState[];
}

/**
 * Takes servers out of rotation, as gently as their balancers know. Each time it is looked first whether the floor
 * holds: throws `FLOOR_AT_RISK`. A balancer that restarts is given a moment.
 */
export const beginDrain = (run: Run, { nodes, servingMin, choose }: Leaving): Promise<void> =>
  until(run, patienceMs, run.signal, async () => {
    const servers = choose(await lookHeld(run, nodes, servingMin));
    if (servers.length > 0) await changeRotation(run, servers, softest(run.ports, servers));
    return true;
  }).then(() => undefined);

/** Also by a server that is not ours: a balancer may have forgotten what an operator told it. */
const isSentTraffic = (run: Run, servers: readonly ServerState[], node: NodeName): boolean =>
  servers.some(
    (server) =>
      server.node === node &&
      (server.rotation === 'in' || (server.rotation === 'draining' && drainOf(run.ports, server) !== 'soft')),
  );

/** Empty, or no longer waited for. */
function isLetGo(run: Run, servers: readonly ServerState[], node: NodeName): boolean {
  const forced = run.forced.get(node);
  if (forced === 'all') return true;
  return isEmpty(
    forced === 'uncounted' ? servers.filter(({ sessions }) => sessions !== null) : servers,
    node,
  );
}

/**
 * A balancer that cannot count is given the whole time, and then taken to be empty; one that still sends traffic is
 * never passed over.
 */
function overdue(
  run: Run,
  busy: readonly NodeName[],
  servers: readonly ServerState[],
  onTimeout: 'force' | 'put-back',
): readonly NodeFailure[] {
  const withinMs = run.site.drain.timeoutMs;
  const sessionsOf = (node: NodeName): number =>
    servers.reduce((sum, server) => sum + (server.node === node ? (server.sessions ?? 0) : 0), 0);
  const sentTraffic = unheeded(
    servers.filter(({ node, rotation }) => busy.includes(node) && rotation === 'in'),
  );
  const late = busy.filter((node) => sessionsOf(node) > 0 && !sentTraffic.some((one) => one.node === node));
  for (const node of busy) {
    if (onTimeout === 'force') run.forced.set(node, 'all');
    else if (!late.includes(node)) run.forced.set(node, 'uncounted');
  }
  if (onTimeout === 'force') {
    run.warnings.push(
      ...late.map(
        (node) =>
          `${node} was changed with ${requestsText(sessionsOf(node))} after ${withinMs} ms (drain.onTimeout: force).`,
      ),
    );
    return sentTraffic;
  }
  const failures = late.map((node) => ({
    node,
    error: failure('DRAIN_TIMEOUT', { node, withinMs, sessions: requestsText(sessionsOf(node)) }),
  }));
  return [...sentTraffic, ...failures];
}

const requestsText = (n: number): string => `${n} request${n === 1 ? '' : 's'} in flight`;
