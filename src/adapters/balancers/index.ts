import type { BalancerCapabilities } from '../../ports.ts';
import { embedded, embeddedCapabilities } from './embedded.ts';
import { haproxy, haproxyCapabilities } from './haproxy.ts';
import { dataplaneCapabilities, haproxyDataplane } from './haproxy-dataplane.ts';
import type { BalancerKind } from './kind.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = {
  haproxy,
  'haproxy-dataplane': haproxyDataplane,
  embedded,
} as const satisfies Record<string, BalancerKind>;

/** What drivers of each kind may be capable of, by their options: what a site has to cope with. */
export const balancerCapabilities = {
  haproxy: haproxyCapabilities,
  'haproxy-dataplane': dataplaneCapabilities,
  embedded: [embeddedCapabilities],
} as const satisfies Partial<Record<keyof typeof balancerKinds, readonly BalancerCapabilities[]>>;
