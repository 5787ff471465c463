import { assert } from '../../core/assert.ts';
import { failure } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';

/** A server's weight as balancers count it: what it has now, and what their configuration says. */
export interface Weight {
  readonly now: number;
  readonly configured: number;
}

/** `ServerState.weight`: a server that is configured to get nothing has 0 %. */
export const percentOf = ({ now, configured }: Weight): number =>
  configured === 0 ? 0 : (100 * now) / configured;

/**
 * The weight that `percent` of the configured one comes to, rounded down: HAProxy does the same (management guide,
 * 9.3, `set weight`). Throws `BALANCER_WEIGHT_COARSE` if that is a point or more away: a server whose weight is 1 can
 * have all of it or nothing.
 */
export function weightAt(
  percent: number,
  { balancer, server, configured }: { balancer: BalancerName; server: string; configured: number },
): number {
  assert(Number.isInteger(percent) && percent >= 0 && percent <= 100, 'a weight is a whole percentage');
  const now = Math.floor((configured * percent) / 100);
  const nearest = Math.round(10 * percentOf({ now, configured })) / 10;
  if (percent - nearest < 1) return now;
  throw failure('BALANCER_WEIGHT_COARSE', { balancer, server, wanted: percent, configured, nearest });
}
