import { addressKinds } from '../../../src/adapters/addresses/index.ts';
import type { AddressKind } from '../../../src/adapters/addresses/kind.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { FloatingAddress, Host, Transport } from '../../../src/ports.ts';

export const ip = '192.0.2.10';

export const host = (name: string): Host => ({ name, address: name, port: null, user: null });

/** An address `front` between lb1 and lb2, its options read as a config's are. Throws if they are wrong. */
export function addressOf(
  kind: keyof typeof addressKinds,
  options: object,
  transport: Pick<Transport, 'run'>,
): FloatingAddress {
  const found: AddressKind = addressKinds[kind];
  const read = parseFields(found.options, { ip, ...options }, 'addresses.front');
  if (!read.ok) throw new Error(read.problems.join('\n'));
  return found.create({
    name: 'front',
    options: read.value,
    machines: { lb1: host('lb1'), lb2: host('lb2') },
    transport: transport as Transport,
  });
}
