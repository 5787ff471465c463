import type { Before, RunIntent } from './intent.ts';
import { dutyNames } from './migration.ts';
import type { NodeName, PoolName } from './node.ts';
import {
  bearingNodes,
  isHeldOut,
  isLowered,
  isServing,
  livePool,
  liveRelease,
  nodeState,
  type Observation,
  poolNodes,
} from './observation.ts';
import { predict } from './predict.ts';
import type { Release, ReleaseId } from './release.ts';
import type { OnFailure } from './site.ts';
import { activate, check, drain, enable, flip, type Step, shift } from './step.ts';
import type { Strategy } from './strategy.ts';

export interface RecoveryInput {
  readonly policy: OnFailure | 'interrupted';
  readonly before: Before;
  /** The pool that got the traffic before; null: there are no pools. */
  readonly pool?: PoolName | null;
  readonly servingMin: number;
}

/**
 * The way on after a failure or a signal: traffic that was flipped goes back first, for the pool before is still warm. Then nodes that this run left out of rotation come back first (they serve
 * nothing, so that costs nothing), then, for `rollback`, the others return to the release they had, never more at a
 * time than the floor allows.
 */
export const recovery = ({ policy, before, pool = null, servingMin }: RecoveryInput): Strategy => ({
  name: `recovery (${policy})`,
  summary: sentences[policy],
  *steps({ observed: found, target }) {
    let observed = found;
    for (const step of flipBack(found, { policy, before, pool })) {
      observed = predict(observed, step);
      yield step;
    }
    const stays = policy === 'halt' || policy === 'hold';
    const out = target.nodes.filter(
      (name) => isOut(observed, name, before) || (!stays && isOnTrial(observed, name, before)),
    );
    yield* stays ? putBackProved(observed, out, before) : putBack(observed, out, before);
    if (!stays) {
      yield shift(
        target.nodes.filter((name) => !out.includes(name) && isLowered(observed, name)),
        100,
      );
    }
    if (policy !== 'rollback') return;
    const changed = target.nodes.filter(
      (name) => !out.includes(name) && before[name] !== null && hasChanged(observed, name, before),
    );
    for (const batch of withinFloor(observed, changed, servingMin)) {
      yield* goBack(batch, before);
    }
  },
});

/**
 * The releases that nodes would return to although the migration of the run's own release closed that way, or that of one
 * which was live before and is contracted since. Empty: the way is open, or none of the nodes has left the release that it had.
 */
export const closedWays = (
  observed: Observation,
  { before, nodes, onceAs }: Pick<RunIntent, 'before' | 'nodes' | 'onceAs'>,
): readonly ReleaseId[] => {
  const barriers = Object.values(observed.nodes)
    .flatMap(({ irreversible }) => irreversible)
    .filter((id) => id === onceAs || (wasLive(before, id) && isContracted(observed, id)));
  return nodes.flatMap((name) => {
    const release = before[name];
    const isClosed = release && barriers.some((id) => release.id < id);
    return isClosed && hasChanged(observed, name, before) ? [release.id] : [];
  });
};

const wasLive = (before: Before, id: ReleaseId): boolean =>
  Object.values(before).some((release) => release?.id === id);

/** Or was begun to be. */
const isContracted = ({ nodes }: Observation, id: ReleaseId): boolean =>
  Object.values(nodes).some(({ once }) =>
    once.some(({ release, hook }) => release === id && hook === dutyNames.contract),
  );

const sentences: { readonly [P in OnFailure | 'interrupted']: string } = {
  rollback: 'Bring every node back to the release that it had.',
  'rollback-batch': 'Bring the nodes that are out of rotation back to the release that they had.',
  halt: 'Let nodes that passed their checks serve again, and change nothing more.',
  hold: 'Let nodes that passed their checks serve again, and wait for a person.',
  interrupted: 'Bring the nodes that are out of rotation back to the release that they had.',
};

/** Where nothing is to be taken back, only balancers that differ are brought together. */
function* flipBack(
  observed: Observation,
  { policy, before, pool }: Required<Omit<RecoveryInput, 'servingMin'>>,
): Iterable<Step> {
  if (pool === null || livePool(observed) === pool) return;
  if ((policy === 'halt' || policy === 'hold') && livePool(observed) !== null) return;
  const nodes = poolNodes(observed, pool);
  // Of a first release there is no way back: nothing is live there.
  if (nodes.every((name) => liveRelease(nodeState(observed, name)) === null)) return;
  yield* proveUnproved(
    observed,
    nodes.filter((name) => !isHeldOut(observed, name)),
    before,
  );
  yield flip(nodes, pool);
}

/**
 * Nodes that did not change come back as they are; the others return to the release they had first. One on which
 * nothing was ever live has nothing to serve: it stays out, and noted, until something is; it is tried no longer all the same.
 */
function* putBack(observed: Observation, out: readonly NodeName[], before: Before): Iterable<Step> {
  const untouched = out.filter(
    (name) => !hasChanged(observed, name, before) && liveRelease(nodeState(observed, name)) !== null,
  );
  const changed = out.filter((name) => hasChanged(observed, name, before) && before[name] !== null);
  yield* proveUnproved(observed, untouched, before);
  if (untouched.length > 0) {
    yield shift(untouched, 100);
    yield enable(untouched);
  }
  yield shift(
    out.filter((name) => ![...untouched, ...changed].includes(name) && isLowered(observed, name)),
    100,
  );
  if (changed.length === 0) return;
  yield* goBack(changed, before);
}

/** One that did not change is tried no longer: it gets its whole weight again. */
function* putBackProved(observed: Observation, out: readonly NodeName[], before: Before): Iterable<Step> {
  const proved = out.filter((name) => {
    const node = nodeState(observed, name);
    return node.proved !== null && node.proved === liveRelease(node);
  });
  if (proved.length === 0) return;
  yield shift(
    proved.filter((name) => !hasChanged(observed, name, before)),
    100,
  );
  yield enable(proved);
}

function* proveUnproved(observed: Observation, names: readonly NodeName[], before: Before): Iterable<Step> {
  const unproved = names.filter((name) => nodeState(observed, name).proved === null && before[name] !== null);
  for (const [release, nodes] of byRelease(unproved, before)) yield check(nodes, { release, nodes });
}

/** Weights are whole before a node takes traffic again. */
function* goBack(names: readonly NodeName[], before: Before): Iterable<Step> {
  yield drain(names);
  yield* restore(names, before);
  yield shift(names, 100);
  yield enable(names);
}

/** Nodes may have had different releases: each group returns to its own. */
function* restore(names: readonly NodeName[], before: Before): Iterable<Step> {
  const groups = byRelease(names, before);
  for (const [release, nodes] of groups) yield activate(nodes, { release, nodes });
  for (const [release, nodes] of groups) yield check(nodes, { release, nodes });
}

function byRelease(
  names: readonly NodeName[],
  before: Before,
): readonly (readonly [Release, readonly NodeName[]])[] {
  const groups = new Map<ReleaseId, [Release, NodeName[]]>();
  for (const name of names) {
    const release = before[name];
    if (!release) continue;
    const group = groups.get(release.id) ?? [release, []];
    group[1].push(name);
    groups.set(release.id, group);
  }
  return [...groups.values()];
}

const hasChanged = (observed: Observation, name: NodeName, before: Before): boolean => {
  const live = liveRelease(nodeState(observed, name));
  return live !== (before[name]?.id ?? null);
};

/** Left out of rotation by this run, or changed and not shown to work. */
const isOut = (observed: Observation, name: NodeName, before: Before): boolean => {
  const node = nodeState(observed, name);
  return node.drained.length > 0 || (hasChanged(observed, name, before) && node.proved === null);
};

/** Changed, and sent but a part of what it was sent before: nobody has found it good yet. */
const isOnTrial = (observed: Observation, name: NodeName, before: Before): boolean =>
  hasChanged(observed, name, before) && isLowered(observed, name);

/** As many nodes at a time as may leave without going below the floor; at least one, which the proof then judges. */
export function withinFloor(
  observed: Observation,
  names: readonly NodeName[],
  servingMin: number,
): readonly (readonly NodeName[])[] {
  const free = observed.balancers.length === 0 ? names.length : bearingNodes(observed).length - servingMin;
  const size = Math.max(1, free);
  const idle = names.filter((name) => !isServing(observed, name) || isHeldOut(observed, name));
  const busy = names.filter((name) => !idle.includes(name));
  const result: NodeName[][] = idle.length > 0 ? [[...idle]] : [];
  for (let done = 0; done < busy.length; done += size) result.push(busy.slice(done, done + size));
  return result;
}
