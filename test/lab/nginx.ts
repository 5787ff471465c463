import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface NginxOptions {
  /** A directory of its own; made if it is not there. */
  readonly dir: string;
  readonly port: number;
  /** Lines of the section `http`, beside `site.conf`. */
  readonly http: readonly string[];
  /** What `site.conf` in `dir` holds to begin with. */
  readonly site: string;
}

export interface RunningNginx {
  readonly url: string;
  /** `site.conf`: what the section `http` includes. */
  readonly file: string;
  readonly pid: string;
  /** How nginx is called to test this configuration. */
  readonly command: readonly string[];
  read(): string;
  /** Writes `site.conf` as an editor does, and loads nothing. */
  write(text: string): void;
  /** Asks the master to load the configuration, as `nginx -s reload` does, which does not wait. */
  reload(): void;
  /** Its workers that take connections, and all that were there before the last reload are gone or retire. */
  reloaded(): Promise<void>;
  restart(): Promise<void>;
  log(): string;
  stop(): Promise<void>;
}

/** nginx on loopback, in the foreground; it answers when this resolves. It ends with the process that started it. */
export async function startNginx(options: NginxOptions): Promise<RunningNginx> {
  const { dir, port } = options;
  mkdirSync(dir, { recursive: true });
  const [file, pid, log, main] = ['site.conf', 'pid', 'log', 'nginx.conf'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ];
  writeFileSync(file, options.site);
  writeFileSync(main, configuration(options, { file, pid, log }));
  await sleep(youngerMs);
  const url = `http://127.0.0.1:${port}`;
  let running = await run(main, url, log);
  const stop = () => end(running);
  const workers = () => workersOf(readFileSync(pid, 'utf8').trim());
  let before = workers();
  return {
    url,
    file,
    pid,
    command: ['nginx', '-c', main],
    read: () => readFileSync(file, 'utf8'),
    write: (text) => writeFileSync(file, text),
    reload() {
      before = workers();
      process.kill(Number(readFileSync(pid, 'utf8')), 'SIGHUP');
    },
    async reloaded() {
      for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 20) {
        const now = workers();
        if (now.length > 0 && !now.some((worker) => before.includes(worker))) return;
        await sleep(20);
      }
      throw new Error(`nginx did not load its configuration:\n${readFileSync(log, 'utf8')}`);
    },
    async restart() {
      await stop();
      running = await run(main, url, log);
    },
    log: () => readFileSync(log, 'utf8'),
    stop,
  };
}

/** A worker that has loaded a file has to be younger than it by more than clocks and ticks differ. */
export const youngerMs = 100;

const configuration = (
  { dir, port, http }: NginxOptions,
  { file, pid, log }: { readonly file: string; readonly pid: string; readonly log: string },
): string =>
  [
    // Temporary folders may be closed to others.
    'user root;',
    `pid ${pid};`,
    `error_log ${log} warn;`,
    'worker_processes 2;',
    'events { worker_connections 2048; }',
    'http {',
    '  access_log off;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `  ${kind}_temp_path ${dir}/${kind};`,
    ),
    ...http.map((line) => `  ${line.replaceAll('PORT', `127.0.0.1:${port}`)}`),
    `  include ${file};`,
    '}',
    '',
  ].join('\n');

/** Those that take connections. */
const workersOf = (master: string): readonly string[] =>
  readFileSync(`/proc/${master}/task/${master}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((child) => /worker process\s*$/.test(titleOf(child)));

function titleOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

async function run(main: string, url: string, log: string): Promise<ChildProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nginx', '-c', main, '-g', 'daemon off;'], {
    stdio: 'ignore',
  });
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 20) {
    if (await answers(url)) return child;
    if (child.exitCode !== null) break;
    await sleep(20);
  }
  await end(child);
  throw new Error(`nginx -c ${main} does not run:\n${readFileSync(log, 'utf8')}`);
}

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume();
      resolve(true);
    }).once('error', () => resolve(false));
  });

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
