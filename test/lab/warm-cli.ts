import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type CliResult, environmentOf, program } from './cli.ts';

/** Runs `sluice` to its end, one run after the other, in a process that has run it before, which is much faster. */
export interface WarmCli {
  /** Rejects if the program throws, or takes longer than `timeoutMs`. */
  run(args: readonly string[], options: WarmOptions): Promise<CliResult>;
  stop(): void;
}

export interface WarmOptions {
  readonly cwd: string;
  readonly timeoutMs: number;
}

/** Nothing is started before the first run. */
export function warmCli(home: string): WarmCli {
  let child: ChildProcess | null = null;
  let last: Promise<unknown> = Promise.resolve();
  const warm = (): ChildProcess => {
    if (child) return child;
    const started = start(home);
    started.once('exit', () => {
      child = null;
    });
    child = started;
    return started;
  };
  return {
    run(args, options) {
      const result = last.then(() => ask(warm(), args, options));
      last = result.catch(() => {});
      return result;
    },
    stop: () => void child?.kill('SIGKILL'),
  };
}

const start = (home: string): ChildProcess =>
  fork(fileURLToPath(new URL('warm-cli.mjs', import.meta.url)), [program], {
    env: environmentOf(home),
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });

async function ask(
  child: ChildProcess,
  args: readonly string[],
  { cwd, timeoutMs }: WarmOptions,
): Promise<CliResult> {
  const startedMs = performance.now();
  const over = new AbortController();
  const { signal } = over;
  const late = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  try {
    const ended = once(child, 'exit', { signal }).then(async () => {
      const words = await text(child.stderr!);
      throw new Error(`sluice ${args.join(' ')} threw, or took longer than ${timeoutMs} ms:\n${words}`);
    });
    child.send({ args, cwd });
    const [result] = await Promise.race([once(child, 'message', { signal }), ended]);
    return { ...result, tookMs: performance.now() - startedMs };
  } finally {
    clearTimeout(late);
    over.abort();
  }
}
