import { failure, messageOf } from '../../core/errors.ts';
import type { AddressState } from '../../core/observation.ts';
import type { FloatingAddress } from '../../ports.ts';
import { awaitHeld } from './machines.ts';

interface CloudAddress {
  readonly name: string;
  readonly ip: string;
  readonly machines: readonly string[];
  readonly moveTimeoutMs: number;
  /** Which of the machines the cloud says hold it. What it throws becomes the reason why nobody knows. */
  held(signal: AbortSignal | undefined): Promise<readonly string[]>;
  /** Asks the cloud to move it, and does not wait. */
  assign(to: string, signal: AbortSignal | undefined): Promise<void>;
}

/** An address that a cloud keeps: it is asked who holds it, told to move it, and asked until it has. */
export function cloudAddress(cloud: CloudAddress): FloatingAddress {
  const { name, ip, machines, moveTimeoutMs: withinMs } = cloud;
  const holders = async (signal?: AbortSignal): Promise<AddressState> => {
    try {
      return { address: name, ip, holders: await cloud.held(signal), unasked: [] };
    } catch (error) {
      signal?.throwIfAborted();
      const reason = reasonOf(error);
      return { address: name, ip, holders: [], unasked: machines.map((machine) => ({ machine, reason })) };
    }
  };
  const address = { name, ip, machines, holders };
  return {
    ...address,
    async move(to, signal) {
      try {
        await cloud.assign(to, signal);
      } catch (error) {
        signal?.throwIfAborted();
        throw failure('ADDRESS_REFUSED', { address: name, ip, to, reason: reasonOf(error) });
      }
      await awaitHeld(address, { to, withinMs, signal });
    },
  };
}

/** It stands within a sentence. */
const reasonOf = (error: unknown): string => messageOf(error).replace(/\.$/, '');
