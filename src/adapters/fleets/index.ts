import { autoScaling } from './auto-scaling.ts';
import { beanstalk } from './beanstalk.ts';
import type { FleetKind } from './kind.ts';

/** All kinds of fleets, by the name that `kind` has in a config. */
export const fleetKinds = {
  'aws-auto-scaling': autoScaling,
  'aws-beanstalk': beanstalk,
} as const satisfies Record<string, FleetKind>;
