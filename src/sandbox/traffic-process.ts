import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startTraffic, type Traffic, type TrafficOptions, type TrafficReport } from './traffic.ts';

/**
 * The same as `startTraffic`, in a process of its own: neither disturbs the other's clock. The process ends with
 * `stop()`, or with its parent. `stop` rejects if it ended before. `through` are words that the program is run by, such as
 * those that have it run in another network.
 */
export async function startTrafficProcess(
  options: TrafficOptions,
  through: readonly string[] = [],
): Promise<Traffic> {
  const [execPath, ...words] = [...through, process.execPath];
  const execArgv = [...words, ...loader];
  const child = fork(program, { ...(execPath ? { execPath } : {}), execArgv, serialization: 'json' });
  const ended = once(child, 'exit');
  await answerOf(child, ended, options);
  return {
    async reach(requests) {
      await answerOf(child, ended, { reach: requests });
    },
    async stop() {
      const report = (await answerOf(child, ended, 'stop')) as TrafficReport;
      await ended;
      return report;
    },
  };
}

const program = fileURLToPath(import.meta.url);
/** From the sources, not compiled, the process needs a loader for TypeScript. */
const loader = program.endsWith('.ts') ? ['--import', 'jiti/register'] : [];

type Question = TrafficOptions | { readonly reach: number } | 'stop';

async function answerOf(child: ChildProcess, ended: Promise<unknown>, question: Question): Promise<unknown> {
  const answer = once(child, 'message');
  const early = ended.then(() => Promise.reject(new Error('the traffic process ended too early')));
  if (child.connected) child.send(question);
  const [message] = await Promise.race([answer, early]);
  return message;
}

function serve(): void {
  let traffic: Traffic | null = null;
  process.on('disconnect', () => process.exit());
  // A Ctrl-C in the terminal is for the parent, which then stops this process.
  process.on('SIGINT', () => {});
  process.on('message', async (question: Question) => {
    if (question === 'stop') {
      process.send?.(await traffic?.stop(), () => process.exit());
      return;
    }
    if ('reach' in question) await traffic?.reach(question.reach);
    else traffic = startTraffic(question);
    process.send?.('done');
  });
}

if (process.argv[1] === program) serve();
