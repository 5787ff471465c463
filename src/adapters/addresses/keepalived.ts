import { writeTrackFile } from '../../commands/address.ts';
import { describe, type Field, optional, period, scalar, withDefault } from '../../core/field.ts';
import type { FloatingAddress } from '../../ports.ts';
import { ipField } from './ip.ts';
import { type AddressKind, addressKind } from './kind.ts';
import { awaitHeld, machinesOf } from './machines.ts';

interface KeepalivedOptions {
  readonly ip: string;
  readonly trackFile: string | null;
  readonly timeout: number;
}

/**
 * An address that keepalived (VRRP, RFC 9568) gives to one of its machines: who has it on an interface holds it. It
 * moves by the file that each instance tracks (keepalived.conf(5), `vrrp_track_file` with `weight 0`): 1 is a fault,
 * and an instance at fault never holds the address. So the machines that it left stay at fault, and it does not come back by itself.
 */
export const keepalived: AddressKind = addressKind<KeepalivedOptions>({
  summary: 'keepalived, by VRRP: who has the address on an interface holds it.',
  options: {
    ip: ipField,
    trackFile: describe(
      'The vrrp_track_file of its instance, with weight 0, on each machine: the address moves by it.',
      optional(absoluteFile(), 'it cannot be moved'),
    ),
    timeout: describe('How long a move may take.', withDefault(period, 15_000, '15s')),
  },
  create({ options, ...input }): FloatingAddress {
    const { ip, trackFile, timeout } = options;
    const { names, run, holders } = machinesOf(input, ip);
    const address = { name: input.name, ip, machines: names, holders };
    if (trackFile === null) return { ...address, move: null };
    const set = (machines: readonly string[], value: 0 | 1, signal?: AbortSignal) =>
      Promise.allSettled(machines.map((machine) => run(machine, writeTrackFile(trackFile, value), signal)));
    return {
      ...address,
      async move(to, signal) {
        const others = names.filter((machine) => machine !== to);
        // Somebody can always have it: the new place first.
        await run(to, writeTrackFile(trackFile, 0), signal);
        // One that cannot be reached may be dead, and the address have left it already: the look says so.
        await set(others, 1, signal);
        try {
          await awaitHeld(address, { to, withinMs: timeout, signal });
        } catch (error) {
          await set(others, 0);
          throw error;
        }
      },
    };
  },
});

function absoluteFile(): Field<string> {
  return scalar('the absolute path of a file', { type: 'string', pattern: '^/.+' }, (value) =>
    typeof value === 'string' && /^\/[^\0\n]+$/.test(value) ? value : undefined,
  );
}
