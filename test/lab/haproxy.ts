import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface HaproxyOptions {
  /** An empty directory of its own: its configuration is written there. */
  readonly dir: string;
  readonly frontendPort: number;
  /** The first one gets what no rule of the frontend sends elsewhere. */
  readonly backends: readonly HaproxyBackend[];
  /** The path of the unix socket of the runtime API, level admin. */
  readonly socket: string;
  /** The path of a master's socket, or `host:port`: the process that is started is then one, and has workers. */
  readonly master?: string;
  /** Default: the one of Debian. */
  readonly program?: string;
  /** Lines of their sections, as they stand in a configuration. */
  readonly global?: readonly string[];
  readonly defaults?: readonly string[];
  readonly frontend?: readonly string[];
}

export interface HaproxyBackend {
  readonly name: string;
  readonly lines?: readonly string[];
  readonly servers: readonly HaproxyServer[];
}

export interface HaproxyServer {
  readonly name: string;
  /** Default: 127.0.0.1. */
  readonly address?: string;
  readonly port: number;
  readonly options?: string;
}

export interface RunningHaproxy {
  readonly url: string;
  readonly socket: string;
  /** Ends the process and starts another one with the same configuration. */
  restart(): Promise<void>;
  /**
   * Starts another process with the same configuration, which is handed the listening sockets; the one before answers
   * what it has and ends. Nobody is refused, and what was told at run time is forgotten.
   */
  reload(): Promise<void>;
  /** What all of its processes have logged, if the configuration has `log stderr`. */
  log(): readonly string[];
  stop(): Promise<void>;
}

/**
 * Starts HAProxy in the foreground on loopback ports; it listens when this resolves, within 5 s or it rejects. It ends
 * with the process that started it, however that ends.
 */
export async function startHaproxy(options: HaproxyOptions): Promise<RunningHaproxy> {
  const file = join(options.dir, 'haproxy.cfg');
  writeFileSync(file, configuration(options));
  const said: string[] = [];
  const run = (before?: ChildProcess) => started(options, { file, said, before });
  let running = await run();
  const retired: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all([running, ...retired].map(end));
  };
  return {
    url: `http://127.0.0.1:${options.frontendPort}`,
    socket: options.socket,
    async restart() {
      await stop();
      running = await run();
    },
    async reload() {
      const { master, socket } = options;
      if (master !== undefined) {
        const before = await workerAt(socket);
        running.kill('SIGUSR2');
        return untilListening(running, async () => (await masteredBy(master, socket)) !== before);
      }
      retired.push(running);
      running = await run(running);
    },
    log: () => said.join('').split('\n'),
    stop,
  };
}

/** The program of a version 3, beside Debian's own: fetched the first time, which takes up to a minute. */
export const newerHaproxy = (): string =>
  execFileSync('sh', [fileURLToPath(new URL('haproxy-3.sh', import.meta.url))], {
    encoding: 'utf8',
    timeout: 120_000,
  }).trim();

const configuration = (options: HaproxyOptions): string =>
  [
    ...section('global', [
      `stats socket ${options.socket} mode 600 level admin expose-fd listeners`,
      ...(options.global ?? []),
    ]),
    ...section('defaults', [
      'mode http',
      'timeout connect 5s',
      'timeout client 30s',
      'timeout server 30s',
      'option redispatch',
      ...(options.defaults ?? []),
    ]),
    ...section('frontend site', [
      `bind 127.0.0.1:${options.frontendPort}`,
      ...(options.frontend ?? []),
      `default_backend ${options.backends[0]!.name}`,
    ]),
    ...options.backends.flatMap(({ name: backend, lines = [], servers }) =>
      section(`backend ${backend}`, [
        ...lines,
        ...servers.map(
          ({ name, address = '127.0.0.1', port, options = '' }) =>
            `server ${name} ${address}:${port} ${options}`,
        ),
      ]),
    ),
  ].join('\n');

const section = (head: string, lines: readonly string[]): readonly string[] => [
  head,
  ...lines.map((line) => `  ${line.trimEnd()}`),
  '',
];

interface Start {
  readonly file: string;
  readonly said: string[];
  /** The process that hands over its sockets and then ends softly. */
  readonly before: ChildProcess | undefined;
}

async function started(
  { socket, master, program = 'haproxy' }: HaproxyOptions,
  { file, said, before }: Start,
): Promise<ChildProcess> {
  if (before === undefined) rmSync(socket, { force: true });
  const takingOver = before === undefined ? [] : ['-x', socket, '-sf', `${before.pid}`];
  const asMaster = master === undefined ? [] : ['-W', '-S', master];
  const words = ['--pdeathsig', 'KILL', program, ...asMaster, '-db', '-f', file, ...takingOver];
  const child = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  child.on('error', (error) => said.push(error.message));
  // The process before it may have the socket still.
  const listens = async () =>
    master === undefined
      ? (await workerAt(socket)) === child.pid
      : masteredBy(master, socket).then(() => true);
  await untilListening(child, listens).catch(async () => {
    await end(child);
    throw new Error(`haproxy -f ${file} does not run:\n${said.join('')}`);
  });
  return child;
}

async function untilListening(child: ChildProcess, listens: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < 5000; waitedMs += 20) {
    if (await listens().catch(() => false)) return;
    if (child.exitCode !== null || child.pid === undefined) break;
    await sleep(20);
  }
  throw new Error('HAProxy does not listen within 5 s');
}

/** The process id of the one that has the socket. Rejects if nobody answers there. */
const workerAt = async (socket: string): Promise<number> =>
  Number(/^Pid: (\d+)$/m.exec(await ask(socket, 'show info'))![1]);

/** The worker at the socket, once its master listens too: a signal that comes before is lost. */
async function masteredBy(master: string, socket: string): Promise<number> {
  const worker = await workerAt(socket);
  if ((await ask(master, 'show proc;quit')).includes(`\n${worker} `)) return worker;
  throw new Error(`the master does not know its worker ${worker} yet`);
}

/** What the runtime API answers to one line, at a path or at `host:port`. Rejects if nobody listens there. */
export async function ask(socket: string, line: string): Promise<string> {
  const [host, port] = socket.split(':');
  const stream = port === undefined ? connect(socket) : connect(Number(port), host);
  stream.write(`${line}\n`);
  return text(stream);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
