import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './port.ts';

export interface VarnishBackend {
  readonly name: string;
  /** Default: 127.0.0.1. */
  readonly address?: string;
  readonly port: number;
}

export interface RunningVarnish {
  readonly url: string;
  /** Of the CLI, on loopback. */
  readonly port: number;
  readonly secretFile: string;
  /** `varnishd -n`. */
  readonly instance: string;
  /** What varnishadm prints; rejects if Varnish refuses the command. */
  admin(command: string): Promise<string>;
  /** What varnishstat counts, by the counter's name. */
  counters(): Promise<Readonly<Record<string, number>>>;
  /** Writes a VCL and loads it under this name, warm; it is not there after a restart. */
  load(name: string, vcl: string): Promise<void>;
  /** Ends it and starts another one, with the VCLs that the first one began with. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts Varnish in the foreground on loopback ports, with `dir` for itself alone and these VCLs, warm; the first one is
 * in use. It serves when this resolves, within
 * 20 s or it rejects. It ends with the process that started it, however that ends.
 */
export async function startVarnish(
  dir: string,
  vcls: Readonly<Record<string, string>>,
): Promise<RunningVarnish> {
  const [frontendPort, port] = [await freePort(), await freePort()];
  const [instance, secretFile] = [join(dir, 'varnish'), join(dir, 'secret')];
  const cliFile = join(dir, 'init.cli');
  const fileOf = (name: string): string => join(dir, `${name}.vcl`);
  for (const [name, vcl] of Object.entries(vcls)) writeFileSync(fileOf(name), vcl);
  writeFileSync(secretFile, 'a secret\n');
  const names = Object.keys(vcls);
  const loading = names.map((name) => `vcl.load ${name} ${fileOf(name)} warm\n`);
  writeFileSync(cliFile, [...loading, `vcl.use ${names[0]!}\n`].join(''));
  const admin = async (command: string) =>
    (await promisify(execFile)('varnishadm', ['-T', `127.0.0.1:${port}`, '-S', secretFile, command])).stdout;
  const words = [
    ...['-F', '-j', 'none', '-n', instance, '-S', secretFile, '-f', '', '-I', cliFile, '-s', 'malloc,16m'],
    ...['-a', `127.0.0.1:${frontendPort}`, '-T', `127.0.0.1:${port}`],
  ];
  let running = await run(words, admin);
  return {
    url: `http://127.0.0.1:${frontendPort}`,
    port,
    secretFile,
    instance,
    admin,
    async counters() {
      const { stdout } = await promisify(execFile)('varnishstat', ['-1', '-j', '-n', instance]);
      const counters: Readonly<Record<string, { readonly value: number }>> = JSON.parse(stdout).counters;
      return Object.fromEntries(Object.entries(counters).map(([name, { value }]) => [name, value]));
    },
    async load(name, text) {
      writeFileSync(fileOf(name), text);
      await admin(`vcl.load ${name} ${fileOf(name)} warm`);
    },
    async restart() {
      await end(running);
      if (existsSync(instance)) rmSync(instance, { recursive: true });
      running = await run(words, admin);
    },
    stop: () => end(running),
  };
}

/**
 * Takes turns among these backends, asks each every 50 ms how it is, and keeps nothing. A request that failed is tried
 * once more, on another one: Varnish does not send it to a backend that went sick since it was chosen.
 */
export const passingVcl = (backends: readonly VarnishBackend[]): string =>
  [
    'vcl 4.1;',
    'import directors;',
    'probe health { .url = "/health"; .interval = 50ms; .timeout = 10s; .window = 2; .threshold = 2; }',
    ...backends.map(
      ({ name, address = '127.0.0.1', port }) =>
        `backend ${name} { .host = "${address}"; .port = "${port}"; .probe = health; }`,
    ),
    'sub vcl_init {',
    '  new pool = directors.round_robin();',
    ...backends.map(({ name }) => `  pool.add_backend(${name});`),
    '}',
    'sub vcl_recv { set req.backend_hint = pool.backend(); return (pass); }',
    'sub vcl_backend_error { if (bereq.method == "GET" && bereq.retries == 0) { return (retry); } }',
    '',
  ].join('\n');

async function run(
  words: readonly string[],
  admin: (command: string) => Promise<string>,
): Promise<ChildProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'varnishd', ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  child.on('error', (error) => said.push(error.message));
  for (let waitedMs = 0; waitedMs < 20_000 && child.exitCode === null && child.pid; waitedMs += 50) {
    const status = await admin('status').catch(() => '');
    if (status.includes('Child in state running')) return child;
    await sleep(50);
  }
  await end(child);
  throw new Error(`varnishd ${words.join(' ')} does not run:\n${said.join('')}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
