import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface HaproxyOptions {
  /** An empty directory of its own: its configuration is written there. */
  readonly dir: string;
  readonly frontendPort: number;
  /** The first one gets what no rule of the frontend sends elsewhere. */
  readonly backends: readonly HaproxyBackend[];
  /** The path of the unix socket of the runtime API, level admin. */
  readonly socket: string;
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
  stop(): Promise<void>;
}

/**
 * Starts HAProxy in the foreground on loopback ports; it listens when this resolves, within 5 s or it rejects. It ends
 * with the process that started it, however that ends.
 */
export async function startHaproxy(options: HaproxyOptions): Promise<RunningHaproxy> {
  const file = join(options.dir, 'haproxy.cfg');
  writeFileSync(file, configuration(options));
  let running = await run(file, options.socket);
  const stop = () => end(running);
  return {
    url: `http://127.0.0.1:${options.frontendPort}`,
    socket: options.socket,
    async restart() {
      await stop();
      running = await run(file, options.socket);
    },
    stop,
  };
}

/** A port that nothing listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const configuration = (options: HaproxyOptions): string =>
  [
    ...section('global', [`stats socket ${options.socket} mode 600 level admin`, ...(options.global ?? [])]),
    ...section('defaults', [
      'mode http',
      'timeout connect 1s',
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

async function run(file: string, socket: string): Promise<ChildProcess> {
  rmSync(socket, { force: true });
  const words = ['--pdeathsig', 'KILL', 'haproxy', '-db', '-f', file];
  const child = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  child.on('error', (error) => said.push(error.message));
  for (let waitedMs = 0; waitedMs < 5000; waitedMs += 20) {
    if (await listens(socket)) return child;
    if (child.exitCode !== null || child.pid === undefined) break;
    await sleep(20);
  }
  await end(child);
  throw new Error(`haproxy -f ${file} does not run:\n${said.join('')}`);
}

const listens = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
