import type { Fields } from '../../core/field.ts';
import type { AddressName } from '../../core/site.ts';
import type { FloatingAddress, Host, Transport } from '../../ports.ts';

/** A kind of floating address as the registry holds it: its options are read by the fields, like every setting. */
export interface AddressKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  /** Makes the driver; connects to nothing yet. */
  create(input: AddressInput<Options>): FloatingAddress;
}

export interface AddressInput<Options> {
  readonly name: AddressName;
  readonly options: Options;
  /** The machines among which it floats, by what they are called; null: nobody says how one is reached. */
  readonly machines: Readonly<Record<string, Host | null>>;
  readonly transport: Transport;
}

export const addressKind = <Options>(kind: AddressKind<Options>): AddressKind =>
  kind as unknown as AddressKind;
