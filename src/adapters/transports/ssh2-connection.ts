import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import type { Client, ClientCallback, ClientChannel } from 'ssh2';
import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { type DeployError, failure, messageOf } from '../../core/errors.ts';
import type { RunOptions, StreamTarget } from '../../ports.ts';
import { bounded, type EndedBy } from './bounded.ts';
import { Output, stdoutBytesMax } from './output.ts';
import type { Hop } from './route.ts';
import { SessionRefused, type Sessions, sessions } from './sessions.ts';
import { coded, unreachable } from './ssh2-login.ts';

/** An SSH connection that is logged in. It is of use until `onLost` is called. */
export class Ssh2Connection {
  readonly #client: Client;
  readonly #hop: Hop;
  readonly #inSession: Sessions;
  #lost: string | null = null;

  constructor(client: Client, hop: Hop, onLost: () => void) {
    this.#client = client;
    this.#hop = hop;
    this.#inSession = sessions(hop);
    const lose = (reason: string): void => {
      if (this.#lost !== null) return;
      this.#lost = reason;
      onLost();
    };
    client.on('error', (error) => lose(error.message));
    client.on('end', () => lose('the server closed it'));
    client.on('close', () => lose('it was closed'));
  }

  /**
   * Runs `text`, what `command` comes to for a login shell. null: the connection was lost before, and nothing was run.
   * Rejects as `Transport.run` does.
   */
  run(command: NodeCommand, text: string, options: RunOptions): Promise<CommandResult | null> {
    const { signal } = options;
    return this.#inSession(() => {
      const session = this.#exec(command, text);
      return bounded(
        session.then((channel) => channel && this.#converse(command, channel, options)),
        { timeoutMs: command.timeoutMs, signal },
        (by) => {
          // The server ends nothing for that; the command may go on until it writes.
          session.then((channel) => channel?.close()).catch(() => undefined);
          return this.#interrupted(command, by);
        },
      );
    }, signal);
  }

  /** A byte stream to an address as this machine sees it. Rejects with an `Error` that is no `DeployError`. */
  async stream(to: StreamTarget): Promise<Duplex> {
    try {
      return await promisify((callback: ClientCallback) => this.#forward(to, callback))();
    } catch (error) {
      const place = to.kind === 'unix' ? to.path : `${to.host}:${to.port}`;
      const reason = `${this.#hop.name} has no connection to ${place}: ${messageOf(error)}`;
      throw this.#lost === null ? new Error(reason, { cause: error }) : coded('ECONNRESET', reason);
    }
  }

  /** Resolves when the connection is closed, by force after a second. */
  async end(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#client.once('close', () => resolve()));
    if (this.#lost !== null) return;
    this.#client.end();
    await bounded(closed, { timeoutMs: 1000, signal: undefined }, () => null).catch(() =>
      this.#client.destroy(),
    );
  }

  #forward(to: StreamTarget, callback: ClientCallback): void {
    if (to.kind === 'unix') this.#client.openssh_forwardOutStreamLocal(to.path, callback);
    else this.#client.forwardOut('127.0.0.1', 0, to.host, to.port, callback);
  }

  async #exec(command: NodeCommand, text: string): Promise<ClientChannel | null> {
    if (this.#lost !== null) return null;
    try {
      return await promisify((callback: ClientCallback) => void this.#client.exec(text, callback))();
    } catch (error) {
      if (this.#lost !== null) throw this.#unknown(command, this.#lost);
      // On a connection that stands, the server refused to run it.
      throw isRefusedChannel(error) ? new SessionRefused(error.message) : unreachable(this.#hop, error);
    }
  }

  /** Resolves when the command ended and all that it wrote has come. */
  #converse(command: NodeCommand, channel: ClientChannel, options: RunOptions): Promise<CommandResult> {
    const output = this.#collect(command, channel, options);
    const input = send(channel, options);
    // A command may end without reading all of its input, but input that cannot be read is a failure at once.
    return Promise.race([output, input.then(() => output)]);
  }

  #collect(command: NodeCommand, channel: ClientChannel, { onStdout }: RunOptions): Promise<CommandResult> {
    const output = new Output(onStdout);
    return new Promise((resolve, reject) => {
      channel.on('data', (chunk: Buffer) => {
        if (output.addStdout(chunk)) return;
        channel.close();
        reject(output.error ?? this.#tooLong(command));
      });
      channel.stderr.on('data', (chunk: Buffer) => output.addStderr(chunk));
      channel.on('error', (error: Error) => reject(this.#unknown(command, error.message)));
      channel.on('close', (status?: number | null, signal?: string) => {
        const code = exitStatus(status, signal);
        if (code === null)
          reject(this.#unknown(command, this.#lost ?? 'it was closed without an exit status'));
        else resolve({ status: code, ...output.texts() });
      });
    });
  }

  #interrupted(command: NodeCommand, by: EndedBy): DeployError {
    if (by === 'abort') return this.#unknown(command, 'it was interrupted here');
    return failure('COMMAND_TIMEOUT', { ...this.#of(command), withinMs: command.timeoutMs });
  }

  #unknown(command: NodeCommand, reason: string): DeployError {
    return failure('OUTCOME_UNKNOWN', { ...this.#of(command), reason });
  }

  #tooLong(command: NodeCommand): DeployError {
    return failure('OUTPUT_TOO_LONG', { ...this.#of(command), bytesMax: stdoutBytesMax });
  }

  #of(command: NodeCommand): { readonly node: string; readonly command: string } {
    return { node: this.#hop.name, command: command.summary };
  }
}

/** ssh2 gives the server's own reason, a number, with no other error (RFC 4254, 5.1). */
const isRefusedChannel = (error: unknown): error is Error =>
  error instanceof Error && typeof (error as { readonly reason?: unknown }).reason === 'number';

/** Streams the input at the speed of the connection; ends early, and well, if the command does. */
async function send(channel: ClientChannel, { stdin, onSent }: RunOptions): Promise<void> {
  const closed = new Promise<void>((resolve) => channel.once('close', () => resolve()));
  let bytes = 0;
  const onTaken = (chunkBytes: number): void => {
    bytes += chunkBytes;
    onSent?.(bytes);
  };
  try {
    for await (const chunk of stdin?.() ?? []) {
      if (!channel.writable) return;
      const isFlowing = channel.write(chunk, () => onTaken(chunk.length));
      if (!isFlowing)
        await Promise.race([closed, new Promise<void>((resolve) => channel.once('drain', resolve))]);
    }
    channel.end();
  } catch (error) {
    // Without an end of input, so that half of it does not pass for the whole.
    channel.close();
    throw error;
  }
}

/** As a shell reports it: 128 and the number of the signal that killed the command. null: the server did not say. */
function exitStatus(status: number | null | undefined, signal: string | undefined): number | null {
  if (signal !== undefined) return 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
  return status ?? null;
}
