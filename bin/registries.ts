import { hookKinds } from '../hooks/index.ts';
import { addressKinds } from '../src/adapters/addresses/index.ts';
import { balancerKinds } from '../src/adapters/balancers/index.ts';
import { fleetKinds } from '../src/adapters/fleets/index.ts';
import { inventoryKinds } from '../src/adapters/inventories/index.ts';
import { noticeKinds } from '../src/adapters/notices/index.ts';
import type { Registries } from '../src/config/fields.ts';
import { strategies } from '../strategies/index.ts';

/** All that a config may name. */
export const registries: Registries = {
  strategies,
  balancers: balancerKinds,
  addresses: addressKinds,
  hooks: hookKinds,
  notices: noticeKinds,
  inventories: inventoryKinds,
  fleets: fleetKinds,
};
