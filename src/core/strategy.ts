import {
  all,
  type Field,
  type Fields,
  isPlainObject,
  type JsonSchema,
  listOf,
  parsed,
  period,
  scalar,
  unexpected,
} from './field.ts';
import type { NodeName } from './node.ts';
import {
  isHeldOut,
  isServing,
  livePool,
  liveRelease,
  nodeState,
  type Observation,
  serversOf,
} from './observation.ts';
import { check, flip, preview, type Step } from './step.ts';
import type { Target } from './target.ts';

/**
 * Chooses the order in which nodes change. `steps` is pure: no await, clock, ports or logs, and it is sent
 * nothing back. It need not be safe: `makePlan` proves what it yields and refuses a plan that breaks a promise.
 */
export interface Strategy {
  readonly name: string;
  /** One sentence, shown above the plan. */
  readonly summary: string;
  /** It renews the pool that gets no traffic, and flips to it: a plan of it leads to one pool alone. */
  readonly flips?: true;
  steps(input: { readonly observed: Observation; readonly target: Target }): Iterable<Step>;
}

/** A strategy as the registry holds it: its options are read by the fields, like every setting. */
export interface StrategyKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  create(options: Options): Strategy;
}

/** A strategy that a config brings itself, where others name one. */
export const ownStrategy: Field<Strategy> = scalar(
  'a strategy of your own: an object with a name, a summary and a function steps',
  { type: 'object' },
  (value) => {
    const { name, summary, steps } = (value ?? {}) as Partial<Record<keyof Strategy, unknown>>;
    const isWhole = typeof name === 'string' && typeof summary === 'string' && typeof steps === 'function';
    return isWhole ? (value as Strategy) : undefined;
  },
);

/** A named strategy may have an option `steps` too; that is a list. */
export const isOwnStrategy = (value: unknown): boolean =>
  isPlainObject(value) && 'steps' in value && !Array.isArray(value.steps);

export const strategyKind = <Options>(kind: StrategyKind<Options>): StrategyKind =>
  kind as unknown as StrategyKind;

/** All traffic to the pool that has the target's release already, once each of its nodes was asked again. */
export const flipOver: Strategy = {
  name: 'flip',
  summary: 'Check the other pool, and flip all traffic to it at once.',
  flips: true,
  *steps({ observed, target }) {
    const to = target.nodes.map((name) => nodeState(observed, name).pool)[0] ?? null;
    if (to === null || livePool(observed) === to) return;
    yield check(target.nodes, target);
    yield preview(target.nodes, target);
    yield flip(target.nodes, to);
  },
};

/** The target's nodes that do not run its release, were not shown to, or were left out of rotation by an earlier run. */
export const outdated = (observed: Observation, target: Target): readonly NodeName[] =>
  target.nodes.filter((name) => {
    const node = nodeState(observed, name);
    const { id } = target.release;
    return liveRelease(node) !== id || node.proved !== id || node.drained.length > 0;
  });

/**
 * Nodes that serve nothing come first: what fails on them costs nothing. Those that an operator holds out lead, then
 * those that should serve and do not. Nodes that no balancer has come last: nothing shows there that a release is good.
 * Otherwise the order is kept.
 */
export const weakestFirst = (observed: Observation, nodes: readonly NodeName[]): readonly NodeName[] => {
  const rank = (node: NodeName): number => {
    if (observed.servers.length > 0 && serversOf(observed, node).length === 0) return 3;
    return isHeldOut(observed, node) ? 0 : isServing(observed, node) ? 2 : 1;
  };
  return nodes.toSorted((a, b) => rank(a) - rank(b));
};

/** `2`: two nodes; `'30%'`: that part of the nodes that change, rounded down, at least one. */
export type BatchSize = number | `${number}%`;

/**
 * Splits nodes into batches. The sizes are used in turn and the last one is repeated: ten nodes and
 * `[1, '30%', '100%']` give batches of 1, 3 and 6.
 */
export function batches(nodes: readonly NodeName[], sizes: readonly BatchSize[]): readonly NodeName[][] {
  const result: NodeName[][] = [];
  for (let done = 0; done < nodes.length; ) {
    const size = sizes[Math.min(result.length, sizes.length - 1)] ?? 1;
    const batch = nodes.slice(done, done + nodesIn(size, nodes.length));
    result.push(batch);
    done += batch.length;
  }
  return result;
}

/** How many nodes of `total` that is. */
export function nodesIn(size: BatchSize, total: number): number {
  const count = typeof size === 'number' ? size : Math.floor((Number.parseFloat(size) / 100) * total);
  return Math.max(1, count);
}

/** A size or a list of sizes. */
export const batchSizes: Field<readonly BatchSize[]> = {
  expected: "a count of nodes such as 2, a part such as '30%', or a list of them",
  summary: '',
  schema: { anyOf: [batchSchema(), { type: 'array', items: batchSchema(), minItems: 1 }] },
  parse(value, path) {
    if (!Array.isArray(value)) return all([batchSize.parse(value, path)]);
    return listOf(batchSize, 1).parse(value, path);
  },
};

export const batchSize: Field<BatchSize> = scalar(
  "a count of nodes such as 2 or a part such as '30%'",
  batchSchema(),
  (size): BatchSize | undefined => {
    if (typeof size === 'number' && Number.isInteger(size) && size >= 1) return size;
    if (typeof size !== 'string') return undefined;
    if (/^[1-9]\d*$/.test(size)) return Number(size);
    const percent = Number(/^(\d+(?:\.\d+)?)%$/.exec(size)?.[1]);
    return percent > 0 && percent <= 100 ? `${percent}%` : undefined;
  },
);

function batchSchema(): JsonSchema {
  return {
    anyOf: [
      { type: 'integer', minimum: 1 },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?%$' },
    ],
  };
}

/** Milliseconds, or until a person promotes the run. */
export type HoldTime = number | 'promote';

export const holdTime: Field<HoldTime> = {
  expected: "'promote' or a duration such as '10m'",
  summary: '',
  schema: { anyOf: [{ const: 'promote' }, period.schema] },
  parse(value, path) {
    if (value === 'promote') return parsed(value);
    const time = period.parse(value, path);
    return time.ok ? time : unexpected(path, this.expected, value);
  },
};
