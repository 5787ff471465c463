import type { NodeCommand } from '../../core/command.ts';
import { failure } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Host, RunOptions, Transport } from '../../ports.ts';
import { localTransport } from '../transports/local.ts';
import type { HaproxyOptions } from './haproxy-options.ts';

/** The machine on which HAProxy has its files, and the way to it. */
export interface Place {
  readonly host: Host;
  readonly transport: Transport;
}

/** The balancer's host, or this machine if the sockets are paths here; null: its files are not within reach. */
export function placeOf(
  { host, socket }: Pick<HaproxyOptions, 'host' | 'socket'>,
  transport: Transport,
): Place | null {
  if (host !== null) return { host, transport };
  if (socket.some(({ kind }) => kind !== 'unix')) return null;
  return { host: here, transport: localTransport({ become: null }) };
}

const here: Host = { name: 'this machine', address: 'localhost', port: null, user: null };

/** Rejects with `BALANCER_REFUSED` if the command fails, or as the transport does. */
export async function runAt(
  { host, transport }: Place,
  balancer: BalancerName,
  command: NodeCommand<void>,
  options: RunOptions,
): Promise<void> {
  const { status, stderr } = await transport.run(host, command, options);
  if (status !== 0)
    throw failure('BALANCER_REFUSED', { balancer, request: command.summary, answer: stderr.trim() });
}
