import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../src/core/errors.ts';
import { answerEnd } from '../src/sandbox/application.ts';
import { type RotationSeen, watchRotation } from '../src/sandbox/rotation-watch.ts';
import { type Sandbox, startSandbox } from '../src/sandbox/sandbox.ts';
import type { TrafficOptions, TrafficReport } from '../src/sandbox/traffic.ts';
import { startTrafficProcess } from '../src/sandbox/traffic-process.ts';

const usage = `Usage: npm run demo -- [options]

Releases a small site on this machine, under constant traffic, and counts what its clients notice.

  --keep       keep the site running afterwards until Ctrl-C, and its folder for good
  --dir <dir>  where to put it: a new or empty folder (default: a temporary one)
  --help       show this text
`;

const sluice = fileURLToPath(new URL('./sluice.js', import.meta.url));
const stage = 'sandbox';

/** What is done under traffic, and the exit status that is expected of it. */
const acts = [
  {
    title: 'Version 2, one node after the other.',
    words: ['deploy', stage, '--ref', 'v2'],
    exit: 0,
    column: 'to 2',
  },
  {
    title: 'Version 3 is broken: the first node fails its check and is put back.',
    words: ['deploy', stage, '--ref', 'v3'],
    exit: 1,
    column: 'try 3',
  },
  { title: 'Back to version 1.', words: ['rollback', stage], exit: 0, column: 'back to 1' },
] as const;

type Act = (typeof acts)[number];

interface Played {
  readonly column: string;
  readonly isExpected: boolean;
  readonly seen: RotationSeen;
}

const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const interrupted = new AbortController();
let command: ChildProcess | null = null;

interface Flags {
  readonly keep: boolean;
  readonly dir: string | null;
  readonly help: boolean;
}

function readFlags(): Flags | null {
  const boolean = { type: 'boolean', default: false } as const;
  try {
    const { values } = parseArgs({ options: { keep: boolean, help: boolean, dir: { type: 'string' } } });
    return { keep: values.keep, help: values.help, dir: values.dir ?? null };
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${usage}`);
    return null;
  }
}

async function main({ keep, dir }: Flags): Promise<number> {
  listenForSignals();
  const folder = resolve(dir ?? (await mkdtemp(join(tmpdir(), 'sluice-demo-'))));
  const sandbox = await startSandbox({ dir: folder, nodes: 4 }).catch(couldNotStart);
  if (sandbox === null) return 2;
  try {
    const exit = await play(sandbox);
    if (keep) await stay(sandbox);
    return exit;
  } catch (error) {
    if (interrupted.signal.aborted) return signals[interrupted.signal.reason as keyof typeof signals];
    throw error;
  } finally {
    await sandbox.close();
    if (!keep) await rm(folder, { recursive: true });
  }
}

function couldNotStart(error: unknown): null {
  process.stderr.write(`The sandbox did not start: ${messageOf(error)}\n`);
  return null;
}

/** A terminal sends Ctrl-C to the running command too, which then leaves a safe state; else the command is told. */
function listenForSignals(): void {
  for (const signal of Object.keys(signals) as (keyof typeof signals)[]) {
    process.on(signal, () => {
      interrupted.abort(signal);
      if (signal !== 'SIGINT') command?.kill('SIGTERM');
    });
  }
}

/** The exit status of the demo: 1 if a client noticed anything, or a command ended otherwise than it should. */
async function play(sandbox: Sandbox): Promise<number> {
  say(`A site of ${sandbox.nodes.length} nodes and a balancer runs at ${sandbox.url}, by this config:`);
  process.stdout.write(`${sandbox.config.trimEnd().replaceAll(/^/gm, '  | ')}\n`);
  say('Version 1, to nodes that serve nothing yet.');
  const first = await run(sandbox, ['deploy', stage, '--ref', 'v1', '--strategy', 'all-at-once']);
  if (first !== 0) return 1;

  say('From here on clients ask without a pause.');
  const { played, traffic } = await playUnderTraffic(sandbox);
  showReport(sandbox.nodes, traffic, played);
  return traffic.failed === 0 && played.every(({ isExpected }) => isExpected) ? 0 : 1;
}

async function playUnderTraffic(
  sandbox: Sandbox,
): Promise<{ readonly played: readonly Played[]; readonly traffic: TrafficReport }> {
  const traffic = await startTrafficProcess(trafficAt(sandbox.url));
  const played: Played[] = [];
  try {
    for (const act of acts) played.push(await playAct(sandbox, act));
  } catch (error) {
    await traffic.stop();
    throw error;
  }
  return { played, traffic: await traffic.stop() };
}

const trafficAt = (url: string): TrafficOptions => ({
  url,
  workers: 12,
  pauseMs: 10,
  paths: ['/'],
  lateMs: 5000,
  slow: { path: '/slow?ms=2000', workers: 4, lateMs: 15_000 },
  bodyEnd: answerEnd,
});

async function playAct(sandbox: Sandbox, { title, words, exit: expected, column }: Act): Promise<Played> {
  say(title);
  const watch = watchRotation(sandbox.adminUrl, sandbox.token);
  const exit = await run(sandbox, words).finally(() => watch.stop());
  const seen = await watch.stop();
  process.stdout.write(
    exit === expected ? `exit status ${exit}, as expected\n` : `exit status ${exit}, expected ${expected}\n`,
  );
  return { column, isExpected: exit === expected, seen };
}

/** The real command line, as a user would type it in the folder of the config. */
async function run({ dir }: Sandbox, words: readonly string[]): Promise<number> {
  interrupted.signal.throwIfAborted();
  process.stdout.write(`$ sluice ${words.join(' ')} --yes\n`);
  command = spawn(process.execPath, [sluice, ...words, '--yes'], {
    cwd: dir,
    env: { ...process.env, XDG_CACHE_HOME: join(dir, 'cache') },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [exit] = (await once(command, 'exit')) as [number | null];
  command = null;
  interrupted.signal.throwIfAborted();
  return exit ?? 1;
}

function showReport(nodes: readonly string[], traffic: TrafficReport, played: readonly Played[]): void {
  const servingMin = Math.min(...played.map(({ seen }) => seen.servingMin));
  const rows = [
    ['requests sent', `${traffic.requests}`],
    ['failed', `${traffic.failed}`],
    ['slow requests in flight', `${traffic.slowInFlightMin} at least, at every moment`],
    [
      'time to an answer',
      `${traffic.p50Ms.toFixed(1)} ms; 1 % took more than ${traffic.p99Ms.toFixed(1)} ms`,
    ],
    ['fewest nodes serving', `${servingMin} of ${nodes.length}`],
  ];
  say('What clients saw.');
  process.stdout.write(table(rows));
  for (const { atMs, path, reason } of traffic.failures)
    process.stdout.write(`  after ${atMs} ms: ${path}: ${reason}\n`);
  say('Seconds out of rotation.');
  const outOf = (node: string) => played.map(({ seen }) => seconds(seen.outMs[node] ?? 0));
  process.stdout.write(
    table([['', ...played.map(({ column }) => column)], ...nodes.map((node) => [node, ...outOf(node)])]),
  );
}

const seconds = (ms: number): string => (ms === 0 ? '-' : (ms / 1000).toFixed(1));

function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(width(column)))
      .join('  ')
      .trimEnd();
  return rows.map((row) => `  ${line(row)}\n`).join('');
}

async function stay({ dir, url }: Sandbox): Promise<void> {
  const typed = `node ${sluice}`;
  say('The site keeps running until Ctrl-C. Go on by hand, in another terminal:');
  process.stdout.write(`  cd ${dir}
  ${typed} status ${stage}
  ${typed} deploy ${stage} --ref v2
  curl ${url}/\n`);
  // It may have come while the last clients were served.
  if (interrupted.signal.aborted) return;
  const alive = setInterval(() => {}, 60_000);
  await once(interrupted.signal, 'abort');
  clearInterval(alive);
}

function say(text: string): void {
  process.stdout.write(`\n${text}\n`);
}

const flags = readFlags();
if (flags === null) process.exitCode = 2;
else if (flags.help) process.stdout.write(usage);
else process.exitCode = await main(flags);
