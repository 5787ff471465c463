import { constants } from 'node:os';
import type { execa } from 'execa';
import type { CommandResult } from '../../core/command.ts';
import type { RunOptions } from '../../ports.ts';
import { bounded, type EndedBy } from './bounded.ts';
import { Output } from './output.ts';

/**
 * Runs a process on this machine in a session of its own: a Ctrl-C on the terminal does not reach it, and when its time
 * is up, all that it started there is ended. Rejects if the program cannot be started, or its input not be read.
 */
export async function runProcess(command: readonly string[], options: ProcessOptions): Promise<ProcessEnd> {
  const { execa } = await import('execa');
  const input = new Input(options);
  const child = start(execa, command, input);
  const output = new Output(options.onStdout);
  child.stderr.on('data', (chunk: Uint8Array) => output.addStderr(chunk));
  child.stdout.on(
    'data',
    (chunk: Uint8Array) => output.addStdout(chunk) || signalSession(child.pid, 'SIGKILL'),
  );
  const bounds = { timeoutMs: options.timeoutMs, signal: options.signal };
  try {
    const end = await bounded(child, bounds, (by) => new Interruption(by));
    if (input.error !== null) throw input.error;
    if (output.error !== null) throw output.error;
    if (output.isTooLong) return { endedBy: 'output' };
    return { endedBy: 'exit', status: statusOf(end), ...output.texts() };
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    await endSession(child, options.graceMs);
    return { endedBy: error.by };
  }
}

export interface ProcessOptions extends RunOptions {
  readonly timeoutMs: number;
  /** How long it may take to clean up once it was asked to end, before it is killed. */
  readonly graceMs: number;
}

export type ProcessEnd =
  | ({ readonly endedBy: 'exit' } & CommandResult)
  /** `output`: it wrote more than `stdoutBytesMax`. */
  | { readonly endedBy: EndedBy | 'output' };

/** The input as it goes to the process: counted, and with the error that cut it short. */
class Input {
  readonly #options: RunOptions;
  error: unknown = null;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    try {
      for await (const chunk of this.#options.stdin?.() ?? []) {
        yield chunk;
        bytes += chunk.length;
        this.#options.onSent?.(bytes);
      }
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

const start = (spawn: typeof execa, [file, ...words]: readonly string[], input: Input) =>
  spawn(file!, words, {
    stdin: input.chunks(),
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });

class Interruption extends Error {
  readonly by: EndedBy;
  constructor(by: EndedBy) {
    super(by);
    this.by = by;
  }
}

function statusOf(end: Awaited<ReturnType<typeof start>>): number {
  if (end.exitCode !== undefined) return end.exitCode;
  // Neither: it did not start.
  if (end.signal === undefined) throw end;
  return 128 + constants.signals[end.signal as NodeJS.Signals];
}

/** Asks all processes of the session to end, and kills them if that takes too long. */
async function endSession(child: ReturnType<typeof start>, graceMs: number): Promise<void> {
  signalSession(child.pid, 'SIGTERM');
  await bounded(child, { timeoutMs: graceMs, signal: undefined }, () => null).catch(() =>
    signalSession(child.pid, 'SIGKILL'),
  );
}

function signalSession(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It ended by itself.
  }
}
