import { embedded } from './embedded.ts';
import { external } from './external.ts';
import { haproxy } from './haproxy.ts';
import { ipvs } from './ipvs.ts';
import type { BalancerKind } from './kind.ts';
import { ldirectord } from './ldirectord.ts';
import { nginx } from './nginx.ts';
import { varnish } from './varnish.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = {
  haproxy,
  nginx,
  ipvs,
  ldirectord,
  varnish,
  external,
  embedded,
} as const satisfies Record<string, BalancerKind>;
