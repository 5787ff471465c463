import { showAddress } from '../../commands/address.ts';
import type { NodeCommand } from '../../core/command.ts';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import type { AddressState } from '../../core/observation.ts';
import type { FloatingAddress } from '../../ports.ts';
import { bounded } from '../transports/bounded.ts';
import type { AddressInput } from './kind.ts';

/** The machines among which an address floats, reached over the transport. */
export interface Machines {
  readonly names: readonly string[];
  /** Rejects as the transport does, and with `COMMAND_FAILED` for any other status but 0. */
  run<R>(machine: string, command: NodeCommand<R>, signal?: AbortSignal): Promise<R>;
  /** Asks all of them at the same time, one command each, whether they hold it. */
  holders(signal?: AbortSignal): Promise<AddressState>;
}

export function machinesOf(
  { name, machines, transport }: Omit<AddressInput<unknown>, 'options'>,
  ip: string,
): Machines {
  const run = async <R>(machine: string, command: NodeCommand<R>, signal?: AbortSignal): Promise<R> => {
    const host = machines[machine] ?? null;
    if (host === null)
      throw failure('NODE_UNREACHABLE', {
        node: machine,
        address: machine,
        reason: 'its balancer has no host',
      });
    const { status, stdout, stderr } = await transport.run(host, command, signal ? { signal } : {});
    if (status === 0) return command.parse(stdout);
    throw failure('COMMAND_FAILED', { node: machine, command: command.summary, status, output: stderr });
  };
  const names = Object.keys(machines);
  return {
    names,
    run,
    async holders(signal) {
      const looks = await Promise.all(
        names.map(async (machine) => {
          const asked = run(machine, showAddress(ip), signal);
          const look = await bounded(asked, { timeoutMs: lookMs, signal }, late(machine)).catch(
            reasonUnasked,
          );
          return { machine, look };
        }),
      );
      return {
        address: name,
        ip,
        holders: looks.flatMap(({ machine, look }) => (look === true ? [machine] : [])),
        unasked: looks.flatMap(({ machine, look }) =>
          typeof look === 'string' ? [{ machine, reason: look }] : [],
        ),
      };
    },
  };
}

/** Of a pair that failed over one machine is dead, and the look is at the other one: it must not wait for long. */
const lookMs = 3000;

const late = (machine: string) => (): Error =>
  failure('NODE_UNREACHABLE', {
    node: machine,
    address: machine,
    reason: `it did not answer within ${lookMs} ms`,
  });

function reasonUnasked(error: unknown): string {
  if (isDeployError(error)) return messageOf(error);
  throw error;
}

/** How long an address that was told to move may take until it is seen at its new place alone. */
export interface Move {
  readonly to: string;
  readonly withinMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Looks until `to` alone holds the address. Rejects with `ADDRESS_NOT_MOVED` once the time is over. */
export async function awaitHeld(
  { name, ip, holders }: Pick<FloatingAddress, 'name' | 'ip' | 'holders'>,
  { to, withinMs, signal }: Move,
): Promise<void> {
  const over = AbortSignal.timeout(withinMs);
  for (;;) {
    const state = await holders(signal);
    if (state.holders.length === 1 && state.holders[0] === to) return;
    if (over.aborted)
      throw failure('ADDRESS_NOT_MOVED', { address: name, ip, to, withinMs, holders: state.holders });
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    signal?.throwIfAborted();
  }
}

const lookEveryMs = 100;
