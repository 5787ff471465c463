import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { strictCommand } from '../../commands/shell.ts';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { failure, messageOf } from '../../core/errors.ts';
import type { Site } from '../../core/site.ts';
import type { Host, RunOptions, StreamTarget, Transport } from '../../ports.ts';
import { commandEnd } from './command-end.ts';
import { runProcess } from './process.ts';

/** Runs commands on this machine, whatever the host: for a site whose one node is the operator's own machine. */
export const localTransport = ({ become }: Pick<Site, 'become'>): Transport => new LocalTransport(become);

/** A command that is to end may be in the middle of putting back what it has changed. */
const graceMs = 10_000;

class LocalTransport implements Transport {
  readonly #become: string | null;
  #commands = 0;

  constructor(become: string | null) {
    this.#become = become;
  }

  async run(host: Host, command: NodeCommand, options: RunOptions = {}): Promise<CommandResult> {
    options.signal?.throwIfAborted();
    this.#commands += 1;
    const words = ['sh', '-c', strictCommand(command.script, this.#become)];
    const { timeoutMs } = command;
    return commandEnd(host, command, await runProcess(words, { ...options, timeoutMs, graceMs }));
  }

  async connect(host: Host, to: StreamTarget, signal?: AbortSignal): Promise<Duplex> {
    const socket = connect(to.kind === 'unix' ? { path: to.path } : { host: to.host, port: to.port });
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      throw failure(
        'NODE_UNREACHABLE',
        { node: host.name, address: host.address, reason: messageOf(error) },
        error,
      );
    }
  }

  async close(): Promise<void> {}

  /** There is nothing to connect to. */
  counts(): { readonly connections: number; readonly commands: number } {
    return { connections: 0, commands: this.#commands };
  }
}
