import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { RotationChange, WeightChange } from '../../ports.ts';

/** A server that a balancer, or one of its members, has for a node. */
export interface Target {
  readonly node: NodeName;
  /** `ServerState.server`. */
  readonly id: string;
}

export type Change = RotationChange | WeightChange;
export type Ordered<T extends Target, C extends Change = RotationChange> = T & Pick<C, 'to'>;

/** What the changes come to for these targets, in order. */
export const ordersOf = <T extends Target, C extends Change>(
  targets: readonly T[],
  changes: readonly C[],
): readonly Ordered<T, C>[] =>
  changes.flatMap(({ node, server, to }) =>
    targets
      .filter((target) => target.node === node && (server === null || target.id === server))
      .map((target) => ({ ...target, to })),
  );

/**
 * Throws `BALANCER_SERVER_UNKNOWN` for a change that meets no target: a server's id may be from the record of an
 * earlier run, and the settings have changed since.
 */
export function mustBeKnown(
  balancer: BalancerName,
  targets: readonly Target[],
  changes: readonly Change[],
): void {
  const stray = changes.find((change) => ordersOf(targets, [change]).length === 0);
  if (!stray) return;
  throw failure('BALANCER_SERVER_UNKNOWN', {
    balancer,
    server: stray.server ?? stray.node,
    node: stray.node,
    known: targets.map(({ id }) => id),
  });
}
