import { isResourceName, moveResource } from '../../commands/address.ts';
import { failure } from '../../core/errors.ts';
import { describe, type Field, mapOf, period, scalar, withDefault } from '../../core/field.ts';
import type { FloatingAddress } from '../../ports.ts';
import { ipField } from './ip.ts';
import { type AddressKind, addressKind } from './kind.ts';
import { awaitHeld, machinesOf } from './machines.ts';

interface PacemakerOptions {
  readonly ip: string;
  readonly resource: string;
  readonly names: Readonly<Record<string, string>>;
  readonly timeout: number;
}

/**
 * An address that Pacemaker runs as a resource (`ocf:heartbeat:IPaddr2`). It moves by `pcs resource move`, and no
 * constraint is left behind that would decide where it goes next; so the resource needs a stickiness to stay.
 */
export const pacemaker: AddressKind = addressKind<PacemakerOptions>({
  summary: 'Pacemaker, as a resource of its cluster, over pcs: who has the address on an interface holds it.',
  options: {
    ip: ipField,
    resource: describe('The resource that is the address, or the group in which it is.', resourceName()),
    names: describe(
      'What the cluster calls a machine, where it differs.',
      withDefault(mapOf(resourceName(), 'the name of a machine'), {}),
    ),
    timeout: describe('How long a move may take.', withDefault(period, 60_000, '60s')),
  },
  create({ options, ...input }): FloatingAddress {
    const { ip, resource, names, timeout } = options;
    const machines = machinesOf(input, ip);
    const address = { name: input.name, ip, machines: machines.names, holders: machines.holders };
    return {
      ...address,
      async move(to, signal) {
        const command = moveResource({ resource, to: names[to] ?? to, withinMs: timeout });
        const left = await machines.run(to, command, signal);
        if (left.length > 0) throw failure('ADDRESS_BOUND', { address: input.name, constraints: left });
        await awaitHeld(address, { to, withinMs: timeout, signal });
      },
    };
  },
});

function resourceName(): Field<string> {
  return scalar(
    'a name of letters, digits, - and _',
    { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_-]*$' },
    (value) => (typeof value === 'string' && isResourceName(value) ? value : undefined),
  );
}
