import type { NodeCommand } from '../../core/command.ts';
import { failure, messageOf } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Host, Transport } from '../../ports.ts';
import { localTransport } from '../transports/local.ts';

/**
 * Runs a command on one director and reads its output. Rejects with `BALANCER_UNREACHABLE` if it did not come to its
 * end there, or says what cannot be read; with `BALANCER_REFUSED` if it ended with another status than 0.
 */
export type OnDirector = <T>(command: NodeCommand<T>, signal?: AbortSignal) => Promise<T>;

/** A director that is reached through the transport; null: this machine. */
export function onDirector(balancer: BalancerName, host: Host | null, transport: Transport): OnDirector {
  const through = host === null ? localTransport({ become: null }) : transport;
  const machine = host ?? here;
  const unreachable = (error: unknown) =>
    failure('BALANCER_UNREACHABLE', { balancer, address: machine.name, reason: reasonOf(error) }, error);
  return async (command, signal) => {
    signal?.throwIfAborted();
    const { status, stdout, stderr } = await through
      .run(machine, command, signal ? { signal } : {})
      .catch((error: unknown) => {
        signal?.throwIfAborted();
        throw unreachable(error);
      });
    if (status !== 0)
      throw failure('BALANCER_REFUSED', { balancer, request: command.summary, answer: explained(stderr) });
    try {
      return command.parse(stdout);
    } catch (error) {
      throw unreachable(error);
    }
  };
}

/** How a member is called. */
export const directorName = (host: Host | null): string => (host ?? here).name;

const here: Host = { name: 'this machine', address: 'localhost', port: null, user: null };

/** The sentence around it ends with a full stop. */
const reasonOf = (error: unknown): string => messageOf(error).replace(/\.$/, '');

function explained(stderr: string): string {
  const answer = stderr.trim().split('\n').join('; ');
  const help = Object.entries(remedies).find(([complaint]) => answer.includes(complaint));
  return help ? `${answer} (${help[1]})` : answer;
}

/** What ipvsadm 1.31 and sudo say, and what to do about it. */
const remedies: Readonly<Record<string, string>> = {
  'must be root': 'log in to the director as root, or set sudo: true',
  'a password is required': "let the login user run sh through sudo without a password, 'NOPASSWD: ALL'",
  'Protocol not available': 'its kernel has no IPVS: load it there with modprobe ip_vs',
};
