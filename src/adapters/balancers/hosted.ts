import { type DeployError, failure, isDeployError } from '../../core/errors.ts';
import { describe, duration, type Field, period, withDefault } from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, BalancerView, RotationChange } from '../../ports.ts';
import { readBack } from './read-back.ts';
import { mustBeKnown, type Ordered, ordersOf, type Target } from './target.ts';

/** A balancer that somebody else runs: one API stands for all of it, and is told and read like one process. */
export interface Hosted<T extends Target, Reading> {
  readonly balancer: BalancerName;
  /** Where its API is, for people. */
  readonly address: string;
  readonly targets: readonly T[];
  readonly capabilities: BalancerCapabilities;
  /** What the API says of all targets. Rejects as `Balancer.change` does. */
  read(signal?: AbortSignal): Promise<Reading>;
  /** Throws `BALANCER_SERVER_UNKNOWN`. */
  stateOf(target: T, reading: Reading): TargetState;
  /** Gives orders that are not obeyed yet, in the light of what was read just before. Rejects as `Balancer.change` does. */
  send(orders: readonly Ordered<T>[], reading: Reading, signal?: AbortSignal): Promise<void>;
  /** What `send` would send, for people. */
  describe(order: Ordered<T>): string;
  /** How long checks fail, as they are set, until a dead node gets nothing more; null: it is not said. */
  readonly noticesDeadWithinMs?: (reading: Reading) => number | null;
  /** Null: it knows no pools. */
  readonly flips: Flips | null;
  close(): void;
}

export type TargetState = Pick<ServerState, 'rotation' | 'health' | 'sessions'>;

/** Where new requests go, pool by pool. */
export interface Flips {
  /** The pool is null if all new requests do not go to one and the same. */
  aim(signal?: AbortSignal): Promise<Pick<BalancerState, 'pool' | 'parts'>>;
  /** As `Balancer.flip`. */
  flip(to: PoolName, signal?: AbortSignal): Promise<void>;
  /** As `Balancer.share`. */
  share(to: PoolName, percent: number, signal?: AbortSignal): Promise<void>;
}

/**
 * What hosted balancers have in common: none counts the requests that are in flight at a node, all keep what they are
 * told, and what runs behind their API is replaced without a word, and without a request lost.
 */
export const hostedCapabilities = {
  sessions: 'none',
  settleMs: 10_000,
  successor: { rotation: 'kept', requests: 'counted' },
  weights: 'none',
  flip: 'none',
  counters: false,
} as const satisfies Partial<BalancerCapabilities>;

/** For `settleMs`. */
export const settle: Field<number> = describe(
  'How long the balancer may send requests as before after it took a change: at least 2m for a Network Load Balancer.',
  withDefault(duration, 10_000, '10s'),
);

export const timeout: Field<number> = describe(
  'How long the API may take to answer an attempt.',
  withDefault(period, 5000, '5s'),
);

/** A node at one place of a balancer that has several: at a port, or at one of several balancers that are as one. */
export interface PlacedTarget extends Target {
  /** Its number. */
  readonly place: number;
  /** What the node is called there. */
  readonly server: string;
}

/** Every node at every place. */
export const placedTargets = (
  balancer: BalancerName,
  places: readonly number[],
  servers: Readonly<Record<NodeName, string>>,
  nodes: readonly NodeName[],
): readonly PlacedTarget[] =>
  places.flatMap((place) =>
    nodes.map((node) => {
      const server = servers[node] ?? node;
      return { node, place, server, id: `${balancer} ${place}/${server}` };
    }),
  );

export function hostedBalancer<T extends Target, Reading>(hosted: Hosted<T, Reading>): Balancer {
  const { balancer, targets, capabilities, flips } = hosted;
  const meant = (change: RotationChange): RotationChange => ({
    ...change,
    to: ways[capabilities.drain][change.to],
  });
  return {
    name: balancer,
    hosts: [],
    capabilities,
    observe: (signal) => look(hosted, signal).catch((error: unknown) => unreadable(hosted, error)),
    async change(changes, signal) {
      mustBeKnown(balancer, targets, changes);
      await tell(hosted, ordersOf(targets, changes.map(meant)), signal);
    },
    async flip(to, signal) {
      if (flips === null) throw unableTo(balancer, `flip to ${to}`);
      await flips.flip(to, signal);
    },
    ...(flips === null ? {} : { share: flips.share }),
    shift: () => Promise.reject(unableTo(balancer, 'set weights')),
    count: () => Promise.reject(unableTo(balancer, 'count')),
    describe: ({ node, server, to }) =>
      typeof to === 'number'
        ? `nothing: ${balancer} cannot set weights`
        : ordersOf(targets, [meant({ node, server, to })])
            .map(hosted.describe)
            .join('; '),
    async close() {
      hosted.close();
    },
  };
}

/** Beside a balancer of another kind, one may be told a way out that it does not know: it takes its own. */
const ways: Readonly<
  Record<BalancerCapabilities['drain'], Readonly<Record<RotationChange['to'], RotationChange['to']>>>
> = {
  soft: { in: 'in', draining: 'draining', out: 'draining' },
  hard: { in: 'in', draining: 'out', out: 'out' },
  both: { in: 'in', draining: 'draining', out: 'out' },
};

async function look<T extends Target, Reading>(
  { balancer, address, targets, flips, read, stateOf, noticesDeadWithinMs = () => null }: Hosted<T, Reading>,
  signal?: AbortSignal,
): Promise<BalancerView> {
  const [reading, aim] = await Promise.all([
    read(signal),
    flips === null ? { pool: null } : flips.aim(signal),
  ]);
  return {
    members: [
      {
        balancer,
        member: address,
        unreachable: null,
        incarnation: 'hosted',
        ...aim,
        noticesDeadWithinMs: noticesDeadWithinMs(reading),
      },
    ],
    servers: targets.map((target) => ({
      balancer,
      member: address,
      node: target.node,
      server: target.id,
      ...stateOf(target, reading),
      weight: 100,
    })),
  };
}

function unreadable<T extends Target, Reading>(
  { balancer, address }: Hosted<T, Reading>,
  error: unknown,
): BalancerView {
  if (!isDeployError(error, 'BALANCER_UNREACHABLE')) throw error;
  const unreachable = String(error.details.reason);
  return {
    members: [{ balancer, member: address, unreachable, incarnation: '', pool: null }],
    servers: [],
  };
}

/** Only what is not so yet is sent: to tell it once more might begin a delay anew. */
async function tell<T extends Target, Reading>(
  { balancer, read, stateOf, send }: Hosted<T, Reading>,
  orders: readonly Ordered<T>[],
  signal?: AbortSignal,
): Promise<void> {
  const undone = (reading: Reading) =>
    orders.filter((order) => stateOf(order, reading).rotation !== order.to);
  const before = await read(signal);
  const open = undone(before);
  if (open.length === 0) return;
  await send(open, before, signal);
  const after = await readBack(
    () => read(signal),
    (reading) => undone(reading).length === 0,
    signal,
  );
  const [order] = undone(after);
  if (order === undefined) return;
  const { rotation: seen } = stateOf(order, after);
  throw failure('BALANCER_NOT_APPLIED', { balancer, server: order.id, wanted: order.to, seen });
}

/** Nobody asks for what `capabilities` says no to; who does all the same is told so. */
const unableTo = (balancer: BalancerName, request: string): DeployError =>
  failure('BALANCER_REFUSED', { balancer, request, answer: 'its kind cannot' });

/** Of several, the slowest of those that say it. */
export const slowest = (times: readonly (number | null)[]): number | null => {
  const known = times.filter((ms) => ms !== null);
  return known.length === 0 ? null : Math.max(...known);
};

/** Waits for all, then throws the first failure, if there is one. */
export async function settled(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
