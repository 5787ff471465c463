import { address } from './address.ts';
import { embedded } from './embedded.ts';
import { haproxy } from './haproxy.ts';
import type { BalancerKind } from './kind.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = { haproxy, address, embedded } as const satisfies Record<string, BalancerKind>;
