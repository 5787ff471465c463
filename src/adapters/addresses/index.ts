import { aws } from './aws.ts';
import { digitalocean } from './digitalocean.ts';
import { keepalived } from './keepalived.ts';
import type { AddressKind } from './kind.ts';
import { pacemaker } from './pacemaker.ts';

/** All kinds of floating addresses, by the name that `kind` has in a config. */
export const addressKinds = { keepalived, pacemaker, digitalocean, aws } as const satisfies Record<
  string,
  AddressKind
>;
