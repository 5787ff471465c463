import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type CliResult, environmentOf, program } from './cli.ts';

/** Runs `sluice` for what a test stands on, but is not about: a process that has run it before is much faster. */
export interface WarmCli {
  /** One after the other. Rejects if the program throws. */
  run(args: readonly string[], cwd: string): Promise<CliResult>;
  stop(): void;
}

/** Nothing is started before the first run. */
export function warmCli(home: string): WarmCli {
  let child: ChildProcess | null = null;
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(args, cwd) {
      const result = last.then(() => {
        child ??= start(home);
        return ask(child, args, cwd);
      });
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

async function ask(child: ChildProcess, args: readonly string[], cwd: string): Promise<CliResult> {
  const startedMs = performance.now();
  const over = new AbortController();
  const { signal } = over;
  try {
    const early = once(child, 'exit', { signal }).then(async () => {
      throw new Error(`sluice ${args.join(' ')} threw:\n${await text(child.stderr!)}`);
    });
    child.send({ args, cwd });
    const [result] = await Promise.race([once(child, 'message', { signal }), early]);
    return { ...result, tookMs: performance.now() - startedMs };
  } finally {
    over.abort();
  }
}
