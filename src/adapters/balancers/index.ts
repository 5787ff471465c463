import { embedded } from './embedded.ts';
import { haproxy } from './haproxy.ts';
import { ipvs } from './ipvs.ts';
import type { BalancerKind } from './kind.ts';
import { ldirectord } from './ldirectord.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = { haproxy, ipvs, ldirectord, embedded } as const satisfies Record<
  string,
  BalancerKind
>;
