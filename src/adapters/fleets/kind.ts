import type { Conflict, Fields } from '../../core/field.ts';
import type { FleetSite } from '../../core/fleet.ts';
import type { Fleet } from '../../ports.ts';

/** A kind of fleet as the registry holds it: its options are read by the fields, like every setting. */
export interface FleetKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  /** Whether it is told how many new machines there may be at a time; else AWS decides. */
  readonly surges: boolean;
  readonly conflicts?: (options: Options) => readonly Conflict[];
  /** Makes the driver; connects to nothing yet. */
  create(options: Options, site: FleetSite): Fleet;
}

export const fleetKind = <Options>(kind: FleetKind<Options>): FleetKind => kind as unknown as FleetKind;
