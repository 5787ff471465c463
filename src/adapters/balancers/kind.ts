import type { Conflict, Fields } from '../../core/field.ts';
import type { NodeName, PoolName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Balancer, BalancerCapabilities, Transport } from '../../ports.ts';

/** A kind of balancer as the registry holds it: its options are read by the fields, like every setting. */
export interface BalancerKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  readonly conflicts?: (options: Options) => readonly Conflict[];
  /** What its drivers can do by default; each says itself what is so. */
  readonly capabilities: BalancerCapabilities;
  /** Makes the driver; connects to nothing yet. */
  create(input: {
    readonly name: BalancerName;
    readonly options: Options;
    readonly nodes: readonly NodeName[];
    /** Of each node that belongs to one. */
    readonly pools?: Readonly<Record<NodeName, PoolName>>;
    /** Of each node: a host name or an address. */
    readonly addresses?: Readonly<Record<NodeName, string>>;
    readonly transport: Transport;
  }): Balancer;
}

export const balancerKind = <Options>(kind: BalancerKind<Options>): BalancerKind =>
  kind as unknown as BalancerKind;
