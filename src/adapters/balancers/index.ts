import { embedded } from './embedded.ts';
import { external } from './external.ts';
import { haproxy } from './haproxy.ts';
import type { BalancerKind } from './kind.ts';
import { nginx } from './nginx.ts';
import { varnish } from './varnish.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = { haproxy, nginx, varnish, external, embedded } as const satisfies Record<
  string,
  BalancerKind
>;
