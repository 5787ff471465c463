import { note } from '../../commands/note.ts';
import { isDeployError } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { isBeingChecked, type Observation, type ServerState } from '../../core/observation.ts';
import type { BalancerCapabilities, BalancerView, Ports } from '../../ports.ts';
import { guardFloor } from '../floor.ts';
import { patienceMs, readBalancers, unreachableMember } from '../observe.ts';
import { capabilitiesOf, fenceFor, interruption, onHeld, type Run } from '../run.ts';

/** Throws `LOCK_LOST` unless this run holds the nodes, as each of them was seen to say a moment ago. */
export async function stillHeld(run: Run, names: readonly NodeName[]): Promise<void> {
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

export const nodesOf = (servers: readonly ServerState[]): readonly NodeName[] => [
  ...new Set(servers.map(({ node }) => node)),
];

export const settleMsOf = ({ ports }: Run, servers: readonly ServerState[]): number =>
  Math.max(0, ...servers.map(({ balancer }) => capabilitiesOf(ports, balancer).settleMs));

export const serversAt = (servers: readonly ServerState[], node: NodeName): readonly ServerState[] =>
  servers.filter((server) => server.node === node);

/**
 * A look at all balancers just before `nodes` leave rotation, by a run that holds them. Throws `FLOOR_AT_RISK` if too
 * few would be left, and `LOCK_LOST`.
 */
export const lookHeld = (
  run: Run,
  nodes: readonly NodeName[],
  floor = run.site.servingMin,
): Promise<BalancerView> =>
  lookAboveFloor(run, { nodes, floor }, async () => {
    const { clock } = run.ports;
    for (let attempt = 1; ; attempt++) {
      const startMs = clock.nowMs();
      await stillHeld(run, nodes);
      const view = await readWhole(run.ports);
      if (clock.nowMs() - startMs <= lookHoldsMs || attempt === looksMax) return view;
    }
  });

/**
 * Looks until enough serve without `nodes`. A balancer that restarts has its servers to check first: where the floor is
 * at risk by that, it is given a moment. Throws `FLOOR_AT_RISK`.
 */
export async function lookAboveFloor(
  run: Run,
  { nodes, floor }: { readonly nodes: readonly NodeName[]; readonly floor: number },
  look: () => Promise<BalancerView>,
): Promise<BalancerView> {
  const { clock } = run.ports;
  const startMs = clock.nowMs();
  for (;;) {
    const view = await look();
    const passedMs = clock.nowMs() - startMs;
    try {
      guardFloor(nodes, floor, seenBy(run, view));
      return view;
    } catch (error) {
      if (passedMs >= patienceMs || !view.servers.some(isBeingChecked)) throw error;
    }
    await clock.sleep(pauseAfter(passedMs), run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
  }
}

export const seenBy = ({ observed }: Run, { members, servers }: BalancerView): Observation => ({
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

/**
 * Looks again and again until `look` has an answer. A balancer that cannot be reached is looked at again until the time
 * is over: it may just restart. Throws the interruption if `signal` is aborted.
 */
export async function until<T>(
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
export async function readWhole(ports: Ports): Promise<BalancerView> {
  for (let attempt = 1; ; attempt++) {
    const startMs = ports.clock.nowMs();
    const view = await readBalancers(ports);
    const lost = view.members.find(({ unreachable }) => unreachable !== null);
    if (lost) throw unreachableMember(lost);
    if (ports.clock.nowMs() - startMs <= lookHoldsMs || attempt === looksMax) return view;
  }
}

export const isOurs = (run: Run, { node, server }: ServerState): boolean =>
  run.drained.get(node)?.includes(server) ?? false;

export const isEmpty = (servers: readonly ServerState[], node: NodeName): boolean =>
  servers.every((server) => server.node !== node || server.sessions === 0);

export const drainOf = (ports: Ports, { balancer }: ServerState): BalancerCapabilities['drain'] =>
  capabilitiesOf(ports, balancer).drain;

export const seenText = ({ server, rotation, health }: ServerState): string =>
  `${server} is ${rotation} and ${health}`;
