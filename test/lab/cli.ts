import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The compiled program, as a user gets it. */
export const program = fileURLToPath(new URL('../../dist/bin/sluice.js', import.meta.url));

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly home: string;
  /** What takes longer is ended, and its run fails; default: `runMsMax`. */
  readonly timeoutMs?: number | undefined;
}

export interface CliRun {
  /** How it ended. Rejects if that takes longer than `timeoutMs`. */
  readonly ended: Promise<CliResult>;
  /** Resolves as soon as stdout or stderr has it; rejects if the program ends first. */
  printed(pattern: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

export interface CliResult {
  /** Null if a signal ended it. */
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as they came. */
  readonly output: string;
  readonly tookMs: number;
}

export const runMsMax = 240_000;

/** Runs `sluice` in a process of its own, without a terminal. */
export function startCli(
  args: readonly string[],
  { cwd, home, env = {}, timeoutMs = runMsMax }: CliOptions,
): CliRun {
  if (!existsSync(program)) throw new Error(`${program} is not there: run npm run build`);
  const startedMs = performance.now();
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...environmentOf(home), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seen = { stdout: '', stderr: '', output: '' };
  let isOver = false;
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      seen[stream] += text;
      seen.output += text;
    });
  const ended = new Promise<CliResult>((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`sluice ${args.join(' ')} did not end within ${timeoutMs} ms:\n${seen.output}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (exit) => {
      clearTimeout(deadline);
      isOver = true;
      resolve({ exit, ...seen, tookMs: performance.now() - startedMs });
    });
  });
  ended.catch(() => {});
  return {
    ended,
    async printed(pattern) {
      while (!pattern.test(seen.output)) {
        if (isOver)
          throw new Error(`sluice ${args.join(' ')} ended without printing ${pattern}:\n${seen.output}`);
        await sleep(10);
      }
    },
    signal: (signal) => void child.kill(signal),
  };
}

export const environmentOf = (home: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  LANG: 'C.UTF-8',
});
