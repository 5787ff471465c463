import type { AddressName, AddressSettings, BalancerName } from '../core/site.ts';

/** An IP address that one of several balancers has: visitors come to that one alone. */
export interface SimulatedAddress {
  readonly name: AddressName;
  readonly balancers: readonly BalancerName[];
  holder: BalancerName;
  /** Since when; negative infinity: from the beginning. */
  movedAtMs: number;
}

export const newAddress = ({ name, balancers }: AddressSettings): SimulatedAddress => ({
  name,
  balancers,
  holder: balancers[0]!,
  movedAtMs: Number.NEGATIVE_INFINITY,
});
