import { note } from '../commands/note.ts';
import { assert } from '../core/assert.ts';
import type { Counted } from '../core/counts.ts';
import { type DeployError, failure, isDeployError, list, messageOf } from '../core/errors.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import {
  type BalancerState,
  hasWeight,
  isAimedAt,
  type Observation,
  poolNodes,
  type ServerState,
  servingNodes,
} from '../core/observation.ts';
import { aimsOf } from '../core/target.ts';
import type { Balancer, BalancerCapabilities, BalancerView, Ports, RotationChange } from '../ports.ts';
import { guardFloor } from './floor.ts';
import { inFlight, isSameMember } from './in-flight.ts';
import { readBalancers, unreachableMember } from './observe.ts';
import {
  activeBalancers,
  capabilitiesOf,
  emit,
  fenceFor,
  interruption,
  type NodeFailure,
  onHeld,
  type Run,
} from './run.ts';

/**
 * Tells each balancer its part of the changes, those that hold no floating address first. Balancers know no fence, and a process may have
 * stood still: unless it was just seen, it is asked first whether this run still holds the nodes. Rejects with
 * `LOCK_LOST`, or with the first refusal, after all ended.
 */
async function changeRotation(
  run: Run,
  servers: readonly ServerState[],
  to: RotationChange['to'],
): Promise<void> {
  await tell(run, servers, (balancer, own) =>
    balancer.change(own.map(({ node, server }) => ({ node, server, to }))),
  );
}

async function tell(
  run: Run,
  servers: readonly ServerState[],
  order: (balancer: Balancer, own: readonly ServerState[]) => Promise<void>,
): Promise<void> {
  await stillHeld(run, nodesOf(servers));
  await inTurn(run, async (balancer) => {
    const own = servers.filter((server) => server.balancer === balancer.name);
    if (own.length > 0) await order(balancer, own);
  });
}

/**
 * Does `work` at the passive balancers, all at the same time, and only then at the active ones: who dies in between leaves
 * visitors with what was before. Rejects with the first refusal, after all of its turn ended.
 */
async function inTurn(run: Run, work: (balancer: Balancer) => Promise<void>): Promise<void> {
  const active = activeBalancers(run);
  const isActive = ({ name }: Balancer): boolean => active.includes(name);
  const { balancers } = run.ports;
  for (const turn of [balancers.filter((one) => !isActive(one)), balancers.filter(isActive)]) {
    const results = await Promise.allSettled(turn.map(work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

/** Throws `LOCK_LOST` unless this run holds the nodes, as each of them was seen to say a moment ago. */
async function stillHeld(run: Run, names: readonly NodeName[]): Promise<void> {
  const { clock } = run.ports;
  for (let attempt = 0; attempt < looksMax; attempt++) {
    const unsure = names.filter((name) => clock.nowMs() - (run.heldAtMs.get(name) ?? 0) > heldForMs);
    if (unsure.length === 0) return;
    const nodes = run.site.nodes.filter(({ name }) => unsure.includes(name));
    await Promise.all(nodes.map((node) => onHeld(run, node, note(fenceFor(run, node.name), null))));
  }
}

/** What was seen is relied on for no longer: the process may have stood still since. */
const lookHoldsMs = 1000;
const heldForMs = 2000;
/** A balancer that is always slower than that is believed all the same. */
const looksMax = 3;

const nodesOf = (servers: readonly ServerState[]): readonly NodeName[] => [
  ...new Set(servers.map(({ node }) => node)),
];

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
      return clock.nowMs() < endMs + settleMsOf(run, of(servers, node));
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
  const own = of(servers, node);
  const isExact = own.every(({ balancer }) => capabilitiesOf(run.ports, balancer).sessions === 'exact');
  const quietMs = hardAtMs === null ? 0 : run.ports.clock.nowMs() - hardAtMs;
  return run.forced.has(node) || (quietMs >= settleMsOf(run, own) && emptyLooks >= (isExact ? 1 : 2));
}

const settleMsOf = ({ ports }: Run, servers: readonly ServerState[]): number =>
  Math.max(0, ...servers.map(({ balancer }) => capabilitiesOf(ports, balancer).settleMs));

const of = (servers: readonly ServerState[], node: NodeName): readonly ServerState[] =>
  servers.filter((server) => server.node === node);

const hardMs = (left: ReadonlyMap<NodeName, Moments>, node: NodeName): number =>
  left.get(node)?.hardAtMs ?? Number.POSITIVE_INFINITY;

/**
 * Ends the WebSockets of nodes that get no traffic since `sinceMs`, once their time is over and nothing else is left there.
 * Only where the site gives them a time of their own. What is left in spite of it stays, for it harms nobody.
 */
export async function partFrom(run: Run, nodes: readonly NodeName[], sinceMs: number): Promise<void> {
  const { webSocketsMs, timeoutMs } = run.site.drain;
  const { clock } = run.ports;
  if (webSocketsMs === undefined) return;
  const webSockets = webSocketsOf(run);
  await until(run, webSocketsMs + timeoutMs, run.signal, async () => {
    const view = await readWhole(run.ports);
    const servers = view.servers
      .filter((server) => nodes.includes(server.node) && !isAimedAt(seenBy(run, view), server))
      .map((server) => ({ ...server, rotation: 'out' as const }));
    if (servers.every(({ sessions }) => sessions === 0)) return true;
    const passedMs = clock.nowMs() - sinceMs;
    const alone = await webSockets(servers);
    const due = passedMs >= webSocketsMs ? alone : [];
    await endSessions(
      run,
      servers.filter(({ node }) => due.includes(node)),
    );
    return passedMs >= webSocketsMs + timeoutMs ? true : null;
  });
}

/**
 * Finds nodes on which nothing but WebSockets is left, where these have a time of their own. Counts them at most once a second, for a balancer lists all sessions for
 * it. Meanwhile there are no more of them than there were, at servers that get nothing new.
 */
function webSocketsOf(run: Run): (servers: readonly ServerState[]) => Promise<readonly NodeName[]> {
  let counts: ReadonlyMap<string, number> = new Map();
  let countedAtMs = Number.NEGATIVE_INFINITY;
  return async (servers) => {
    const open = nodesOf(servers).filter((node) => !isEmpty(servers, node));
    if (run.site.drain.webSocketsMs === undefined || open.length === 0) return [];
    const nowMs = run.ports.clock.nowMs();
    if (nowMs - countedAtMs >= webSocketsEveryMs) {
      countedAtMs = nowMs;
      counts = await countWebSockets(run);
    }
    const isAlone = ({ server, rotation, sessions }: ServerState): boolean =>
      rotation !== 'in' && sessions !== null && sessions <= (counts.get(server) ?? 0);
    return open.filter((node) => servers.every((server) => server.node !== node || isAlone(server)));
  };
}

const webSocketsEveryMs = 1000;

async function countWebSockets({ ports: { balancers }, signal }: Run): Promise<ReadonlyMap<string, number>> {
  const counts = await Promise.all(balancers.flatMap(({ webSockets }) => webSockets?.count(signal) ?? []));
  return new Map(counts.flatMap((one) => [...one]));
}

async function endSessions(run: Run, servers: readonly ServerState[]): Promise<void> {
  const open = servers.filter(({ sessions }) => sessions !== 0);
  if (open.length === 0) return;
  const text = open.map(({ server, sessions }) => `${sessions} at ${server}`).join(', ');
  emit(run.ports, {
    type: 'note',
    level: 'info',
    text: `WebSockets are closed, their time is over: ${text}.`,
  });
  await tell(run, open, async ({ webSockets }, own) => webSockets?.close(own.map(({ server }) => server)));
}

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

/** Once: what balancers forgot of the nodes that this run has out they are told again, and nothing new comes there. */
export async function tellForgotten(run: Run, nodes: readonly NodeName[]): Promise<void> {
  const wasOut = new Set(
    run.observed.servers.filter(({ rotation }) => rotation !== 'in').map(({ server }) => server),
  );
  const forgotten = (await readWhole(run.ports)).servers.filter(
    (server) =>
      nodes.includes(server.node) &&
      isOurs(run, server) &&
      wasOut.has(server.server) &&
      server.rotation === 'in',
  );
  if (forgotten.length === 0) return;
  await lookHeld(run, nodesOf(forgotten));
  for (const node of nodesOf(forgotten)) noteStray(run, node);
  const isSoft = forgotten.some((server) => drainOf(run.ports, server) === 'soft');
  await changeRotation(run, forgotten, isSoft ? 'draining' : 'out');
}

/**
 * Once: weights and a flip of this run that a balancer forgot when its process gave way to another it is told again. What a process that
 * knew them shows else was set by somebody.
 */
export async function tellAnew(run: Run): Promise<void> {
  if (!hasSet(run)) return;
  const { members } = await readWhole(run.ports);
  const anew = members.filter((member) => {
    const known = run.knowing.find((one) => isSameMember(one, member));
    return known === undefined || known.incarnation !== member.incarnation;
  });
  if (anew.length === 0) return;
  const isAnew = (server: ServerState): boolean => anew.some((member) => isSameMember(member, server));
  await setWeights(run, {
    nodes: [...run.weights.keys()],
    weightOf: (server) => (isAnew(server) ? run.weights.get(server.node)! : server.weight),
  });
  await flipAgain(run, anew);
  for (const { balancer, member, incarnation } of anew) {
    const known = run.knowing.find((one) => isSameMember(one, { balancer, member }));
    if (known) Object.assign(known, { incarnation });
    else run.knowing.push({ balancer, member, incarnation });
  }
}

/** Whether there is anything that a balancer could forget beside who is out. */
export const hasSet = ({ weights, flipped }: Run): boolean => weights.size > 0 || flipped !== null;

async function flipAgain(run: Run, anew: readonly BalancerState[]): Promise<void> {
  const { flipped } = run;
  const strayed = anew.filter(({ pool }) => flipped !== null && pool !== null && pool !== shownAs(flipped));
  if (flipped === null || strayed.length === 0) return;
  const { to } = flipped;
  await stillHeld(run, poolNodes(run.observed, to));
  guardCapacity(run, await readWhole(run.ports), to);
  await inTurn(run, async (balancer) => {
    if (strayed.some((member) => member.balancer === balancer.name)) await turn(balancer, flipped);
  });
  const names = [...new Set(strayed.map(({ balancer }) => balancer))];
  emit(run.ports, {
    type: 'note',
    level: 'warning',
    text: `${list(names)} started anew and had forgotten the flip: ${flipped.share === undefined ? 'its requests go' : `${flipped.share} % of its requests go`} to ${to} again.`,
  });
}

/** These processes know what this run set, unless it is known of one before them: then they are told all of it again. */
function noteKnowing(run: Run, members: readonly BalancerState[]): void {
  for (const { balancer, member, incarnation } of members)
    if (!run.knowing.some((one) => isSameMember(one, { balancer, member })))
      run.knowing.push({ balancer, member, incarnation });
}

/**
 * A look at all balancers just before `nodes` leave rotation, by a run that holds them. Throws `FLOOR_AT_RISK` if too
 * few would be left, and `LOCK_LOST`.
 */
async function lookHeld(
  run: Run,
  nodes: readonly NodeName[],
  floor = run.site.servingMin,
): Promise<BalancerView> {
  const { clock } = run.ports;
  for (let attempt = 1; ; attempt++) {
    const startMs = clock.nowMs();
    await stillHeld(run, nodes);
    const view = await readWhole(run.ports);
    if (clock.nowMs() - startMs > lookHoldsMs && attempt < looksMax) continue;
    guardFloor(nodes, floor, seenBy(run, view));
    return view;
  }
}

export interface Served {
  readonly late: readonly NodeFailure[];
  /** When every server was first read back to be in rotation. */
  readonly backAtMs: number;
  /** All servers that were seen last. */
  readonly shown: readonly ServerState[];
}

/** Puts back the servers of `nodes` that this run drained, and waits until every one of them takes traffic again. */
export async function awaitServing(run: Run, nodes: readonly NodeName[]): Promise<Served> {
  const { clock } = run.ports;
  const withinMs = run.site.drain.enableTimeoutMs;
  let backAtMs: number | null = null;
  let readyAtMs: number | null = null;
  let shown: readonly ServerState[] = [];
  const late = await until(run, withinMs, null, async (passedMs) => {
    shown = (await readWhole(run.ports)).servers;
    const servers = shown.filter((server) => nodes.includes(server.node) && isOurs(run, server));
    const out = servers.filter(({ rotation }) => rotation !== 'in');
    if (out.length > 0) await changeRotation(run, out, 'in');
    else backAtMs ??= clock.nowMs();
    const idle = servers.filter(
      ({ rotation, health }) => rotation !== 'in' || !['up', 'unchecked'].includes(health),
    );
    if (idle.length > 0) {
      readyAtMs = null;
      return passedMs >= withinMs ? stillIdle(nodes, idle, withinMs) : null;
    }
    readyAtMs ??= clock.nowMs();
    return clock.nowMs() - readyAtMs >= settleMsOf(run, servers) ? [] : null;
  });
  return { late, backAtMs: backAtMs ?? clock.nowMs(), shown };
}

const stillIdle = (
  nodes: readonly NodeName[],
  idle: readonly ServerState[],
  withinMs: number,
): readonly NodeFailure[] =>
  nodes
    .map((node) => ({ node, own: idle.filter((server) => server.node === node) }))
    .filter(({ own }) => own.length > 0)
    .map(({ node, own }) => ({
      node,
      error: failure('ENABLE_TIMEOUT', { node, withinMs, seen: own.map(seen).join(', ') }),
    }));

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

export interface Weights {
  readonly nodes: readonly NodeName[];
  /** What each server is to have, in percent. */
  readonly weightOf: (server: ServerState) => number;
}

/**
 * Sets the weights of servers where they are others, and reads them back. Each time one is lowered it is looked first
 * whether the floor holds: throws `FLOOR_AT_RISK`. A balancer that restarts is given a moment.
 */
export async function setWeights(run: Run, { nodes, weightOf }: Weights): Promise<void> {
  if (nodes.length === 0) return;
  await until(run, patienceMs, run.signal, async (passedMs) => {
    const other = (servers: readonly ServerState[]) =>
      servers.filter(
        (server) =>
          nodes.includes(server.node) &&
          capabilitiesOf(run.ports, server.balancer).weights === 'server' &&
          !hasWeight(server, weightOf(server)),
      );
    const { members, servers } = await readWhole(run.ports);
    const found = other(servers);
    if (found.length === 0) {
      noteKnowing(run, members);
      return true;
    }
    if (passedMs >= patienceMs) throw unapplied(found[0]!, weightOf(found[0]!));
    const lowered = found.filter((server) => weightOf(server) < server.weight);
    const wrong = lowered.length > 0 ? other((await lookHeld(run, nodesOf(lowered))).servers) : found;
    await tell(run, wrong, (balancer, own) =>
      balancer.shift(
        own.map((server) => ({ node: server.node, server: server.server, to: weightOf(server) })),
      ),
    );
    return null;
  });
}

const unapplied = ({ balancer, server, weight }: ServerState, wanted: number): DeployError =>
  failure('BALANCER_NOT_APPLIED', {
    balancer,
    server,
    wanted: `weight ${wanted} %`,
    seen: `weight ${weight} %`,
  });

/** What all members have counted; one that restarts is given a moment. */
export async function countAll(run: Run): Promise<Counted> {
  const { clock, balancers } = run.ports;
  const counting = balancers.filter(({ capabilities }) => capabilities.counters);
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    const counted = await Promise.all(counting.map((balancer) => balancer.count(run.signal)));
    const members = counted.flatMap((one) => one.members);
    const isWhole = members.every(({ unreachable }) => unreachable === null);
    if (isWhole || clock.nowMs() >= deadlineMs)
      return { members, servers: counted.flatMap(({ servers }) => servers) };
    await clock.sleep(500, run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
  }
}

export interface Flipped {
  readonly balancers: number;
  /** From the first word to the first balancer until the last one had taken it: they differed no longer. */
  readonly withinMs: number;
}

/**
 * Sends all new requests, or a share of them in percent, to the pool once every balancer finds its nodes healthy: one change at each balancer, those that hold
 * no floating address first, and read back. If one refuses, those that took it are flipped back. Throws `POOL_NOT_READY`, `POOL_IDLE`, the
 * first refusal, or `FLIP_NOT_APPLIED`.
 */
export async function flipTo(run: Run, to: PoolName, share?: number): Promise<Flipped> {
  const { clock } = run.ports;
  const wanted = { to, ...(share === undefined ? {} : { share }) };
  run.flipped = null;
  const before = await awaitPool(run, to);
  const startMs = clock.nowMs();
  try {
    await inTurn(run, (balancer) => turn(balancer, wanted));
    const withinMs = clock.nowMs() - startMs;
    const { members } = await until(run, patienceMs, null, () => readWhole(run.ports));
    const stray = members.filter(({ pool }) => pool !== shownAs(wanted));
    if (stray.length > 0)
      throw failure('FLIP_NOT_APPLIED', { pool: to, seen: aimsOf({ ...run.observed, balancers: stray }) });
    run.flipped = wanted;
    noteKnowing(run, members);
    return { balancers: members.length, withinMs };
  } catch (error) {
    await unflip(run, before, to);
    throw error;
  }
}

type Flip = NonNullable<Run['flipped']>;

function turn(balancer: Balancer, { to, share }: Flip): Promise<void> {
  if (share === undefined) return balancer.flip(to);
  assert(balancer.share, `balancer ${balancer.name} can share, or the plan was refused`);
  return balancer.share(to, share);
}

/** What a balancer then says of itself: one that shares names no one pool. */
const shownAs = ({ to, share }: Flip): PoolName | null => (share === undefined ? to : null);

/** A look at all balancers, by a run that holds the pool's nodes, that shows every one of them healthy. */
function awaitPool(run: Run, to: PoolName): Promise<BalancerView> {
  const withinMs = run.site.drain.enableTimeoutMs;
  const nodes = poolNodes(run.observed, to);
  return until(run, withinMs, run.signal, async (passedMs) => {
    await stillHeld(run, nodes);
    const view = await readWhole(run.ports);
    const idle = view.servers.filter(
      ({ node, rotation, health }) =>
        nodes.includes(node) && rotation === 'in' && !['up', 'unchecked'].includes(health),
    );
    if (idle.length > 0) {
      if (passedMs < withinMs) return null;
      throw failure('POOL_NOT_READY', { pool: to, withinMs, seen: idle.map(seen).join(', ') });
    }
    guardCapacity(run, view, to);
    return view;
  });
}

/** How many nodes serve once all requests go to the pool. */
const servingIf = (run: Run, view: BalancerView, pool: PoolName): number =>
  servingNodes(seenBy(run, { ...view, members: view.members.map((member) => ({ ...member, pool })) })).length;

/** Throws `POOL_IDLE` if the pool would serve with nobody, or with fewer than the floor where more serve now. */
function guardCapacity(run: Run, view: BalancerView, to: PoolName): void {
  const [had, serving] = [servingNodes(seenBy(run, view)).length, servingIf(run, view, to)];
  const { servingMin } = run.site;
  if (serving === 0 || (serving < servingMin && serving < had))
    throw failure('POOL_IDLE', { pool: to, serving, servingMin });
}

/**
 * Each balancer back to where it was; where that pool holds less than the floor, and the new one more, all are told once
 * more instead. One that does not follow is a warning, and what is so is read at the end.
 */
async function unflip(run: Run, view: BalancerView, to: PoolName): Promise<void> {
  const had = servingNodes(seenBy(run, view)).length;
  const goesBack = had > 0 && had >= Math.min(run.site.servingMin, servingIf(run, view, to));
  const results = await Promise.allSettled(
    run.ports.balancers.map(async (balancer) => {
      const before = view.members.find((member) => member.balancer === balancer.name)?.pool ?? null;
      if (before !== null) await balancer.flip(goesBack ? before : to);
    }),
  );
  for (const result of results)
    if (result.status === 'rejected')
      run.warnings.push(`The flip could not be taken back everywhere: ${messageOf(result.reason)}`);
}

const seenBy = ({ observed }: Run, { members, servers }: BalancerView): Observation => ({
  ...observed,
  balancers: members,
  servers,
});

/** All balancers, for one look: one that restarts is given a moment. */
export const readAll = (run: Run): Promise<BalancerView> =>
  until(run, patienceMs, run.signal, () => readWhole(run.ports));

/**
 * How long an address may take from one balancer to another: VRRP takes seconds, a cluster that must be sure that a machine is off
 * takes longer.
 */
export const failoverMs = 30_000;

/** How long something that cannot be read may take to come back, where no other deadline says so. */
export const patienceMs = 5000;

/**
 * Looks again and again until `look` has an answer. A balancer that cannot be reached is looked at again until the time
 * is over: it may just restart. Throws the interruption if `signal` is aborted.
 */
async function until<T>(
  { ports: { clock }, site }: Run,
  withinMs: number,
  signal: AbortSignal | null,
  look: (passedMs: number) => Promise<T | null>,
): Promise<T> {
  const startMs = clock.nowMs();
  const mayFailOver = site.balancers.some(({ onUnreachable }) => onUnreachable === 'go on');
  for (;;) {
    const passedMs = clock.nowMs() - startMs;
    try {
      const answer = await look(passedMs);
      if (answer !== null) return answer;
    } catch (error) {
      const isOver = passedMs >= (mayFailOver ? Math.max(withinMs, failoverMs) : withinMs);
      if (!isDeployError(error, 'BALANCER_UNREACHABLE') || isOver) throw error;
    }
    await clock.sleep(pauseAfter(passedMs), signal ?? undefined);
    if (signal?.aborted) throw interruption(signal);
  }
}

/**
 * How long to wait before the next look: a part of the time that has passed, so that nothing takes longer than it must
 * by more than that part.
 */
export const pauseAfter = (passedMs: number, maxMs = 500): number =>
  Math.min(maxMs, Math.max(10, passedMs / 20));

/** Throws `BALANCER_UNREACHABLE` if a member cannot be read: what it does is not known. Fresh when it returns. */
async function readWhole(ports: Ports): Promise<BalancerView> {
  for (let attempt = 1; ; attempt++) {
    const startMs = ports.clock.nowMs();
    const view = await readBalancers(ports);
    const lost = view.members.find(({ unreachable }) => unreachable !== null);
    if (lost) throw unreachableMember(lost);
    if (ports.clock.nowMs() - startMs <= lookHoldsMs || attempt === looksMax) return view;
  }
}

const isOurs = (run: Run, { node, server }: ServerState): boolean =>
  run.drained.get(node)?.includes(server) ?? false;

/** Also by a server that is not ours: a balancer may have forgotten what an operator told it. */
const isSentTraffic = (run: Run, servers: readonly ServerState[], node: NodeName): boolean =>
  servers.some(
    (server) =>
      server.node === node &&
      (server.rotation === 'in' || (server.rotation === 'draining' && drainOf(run.ports, server) !== 'soft')),
  );

const isEmpty = (servers: readonly ServerState[], node: NodeName): boolean =>
  servers.every((server) => server.node !== node || server.sessions === 0);

/** Empty, or no longer waited for. */
function isLetGo(run: Run, servers: readonly ServerState[], node: NodeName): boolean {
  const forced = run.forced.get(node);
  if (forced === 'all') return true;
  return isEmpty(
    forced === 'uncounted' ? servers.filter(({ sessions }) => sessions !== null) : servers,
    node,
  );
}

/** The gentlest way out of rotation that all of these balancers know. */
const softest = (ports: Ports, servers: readonly ServerState[]): 'draining' | 'out' =>
  servers.every((server) => drainOf(ports, server) !== 'hard') ? 'draining' : 'out';

const drainOf = (ports: Ports, { balancer }: ServerState): BalancerCapabilities['drain'] =>
  capabilitiesOf(ports, balancer).drain;

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
          `${node} was changed with ${requests(sessionsOf(node))} after ${withinMs} ms (drain.onTimeout: force).`,
      ),
    );
    return sentTraffic;
  }
  const failures = late.map((node) => ({
    node,
    error: failure('DRAIN_TIMEOUT', { node, withinMs, sessions: requests(sessionsOf(node)) }),
  }));
  return [...sentTraffic, ...failures];
}

const requests = (n: number): string => `${n} request${n === 1 ? '' : 's'} in flight`;

const seen = ({ server, rotation, health }: ServerState): string => `${server} is ${rotation} and ${health}`;
