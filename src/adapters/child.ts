import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { words } from '../commands/shell.ts';
import type { CommandLine } from '../core/command.ts';

/** A command on the operator's machine, as the head of a process group of its own. */
export interface Child {
  readonly command: CommandLine;
  readonly cwd?: string;
  /** The whole environment: nothing is added to it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput: (text: string, from: 'stdout' | 'stderr') => void;
  /** All of its standard input; absent: it has none. */
  readonly input?: string;
}

export interface ChildEnd {
  /** `abort` and `timeout`: it was made to end, together with all that it started. */
  readonly endedBy: 'exit' | 'timeout' | 'abort';
  /** As a shell says it: 127 if there is no such program, 128 and the signal's number if a signal ended it. */
  readonly status: number;
}

/**
 * Runs a command until it and all writers to its output have ended, or, once its time is up, have had a moment to end.
 * It has no terminal, and no standard input but `input`, so it cannot ask. Rejects only on a bug.
 */
export async function runChild({
  command,
  cwd,
  env,
  timeoutMs,
  signal,
  onOutput,
  input,
}: Child): Promise<ChildEnd> {
  if (signal?.aborted) return { endedBy: 'abort', status: 128 + constants.signals.SIGTERM };
  const { execa } = await import('execa');
  const [program, ...args] = typeof command === 'string' ? ['sh', '-c', command] : command;
  const child = execa(program ?? '', args, {
    ...(cwd === undefined ? {} : { cwd }),
    env,
    extendEnv: false,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    buffer: false,
    reject: false,
    detached: true,
  });
  listen(child.stdout, (text) => onOutput(text, 'stdout'));
  listen(child.stderr, (text) => onOutput(text, 'stderr'));
  const guard = endGroupOn({ child, timeoutMs, signal });
  try {
    const { exitCode, signal: endSignal, code, shortMessage } = await child;
    if (code !== undefined && exitCode === undefined && endSignal === undefined) {
      onOutput(`${shortMessage ?? code}\n`, 'stderr');
      return { endedBy: 'exit', status: 127 };
    }
    return {
      endedBy: guard.fired() ?? 'exit',
      status: exitCode ?? 128 + constants.signals[endSignal ?? 'SIGTERM'],
    };
  } finally {
    guard.release();
  }
}

function listen(stream: Readable, onText: (text: string) => void): void {
  stream.setEncoding('utf8');
  stream.on('data', onText);
}

interface Group extends Pick<Child, 'timeoutMs' | 'signal'> {
  /** Its head. */
  readonly child: { readonly pid?: number; readonly stdout: Readable; readonly stderr: Readable };
}

/** Ends a process group when the time is up or the signal fires: politely, then by force. */
function endGroupOn({ child: { pid, stdout, stderr }, timeoutMs, signal }: Group) {
  let fired: 'timeout' | 'abort' | null = null;
  let force: NodeJS.Timeout | undefined;
  const end = (by: 'timeout' | 'abort') => {
    if (fired !== null || pid === undefined) return;
    fired = by;
    signalGroup(pid, 'SIGTERM');
    force = setTimeout(() => {
      signalGroup(pid, 'SIGKILL');
      // What left the group goes on, and may hold the output for as long as it likes.
      for (const output of [stdout, stderr]) output.destroy();
    }, graceMs);
  };
  const onAbort = () => end('abort');
  const timer = setTimeout(() => end('timeout'), timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  return {
    fired: () => fired,
    release() {
      clearTimeout(timer);
      clearTimeout(force);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** How long a command that was told to end may take to clean up. */
const graceMs = 5000;

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group ended in the meantime.
  }
}

/** Keeps the end of a text, at most about `bytesMax` bytes of it. */
export function tail(bytesMax = 16 * 1024): { add(text: string): void; text(): string } {
  let kept = Buffer.alloc(0);
  return {
    add(text) {
      kept = Buffer.concat([kept, Buffer.from(text)]).subarray(-bytesMax);
    },
    text: () => kept.toString(),
  };
}

/** A command as a person would type it. */
export const shownCommand = (command: CommandLine): string =>
  typeof command === 'string' ? command : words(...command);
