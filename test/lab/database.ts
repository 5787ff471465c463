import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A real PostgreSQL on a unix socket, with one empty database. */
export interface Database {
  /** What `psql` and `pg_dump` need to reach it, from any node. */
  readonly words: readonly string[];
  readonly connection: string;
  /** Rows as psql shows them, a line each, columns separated by `|`. */
  query(sql: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Starts it as a user without rights: it refuses to run as root. Its folder is one that users of nodes can reach. */
export async function startDatabase(): Promise<Database> {
  const folder = await nobodysFolder();
  const programs = await programFolder();
  const data = join(folder, 'data');
  const options = ['--auth=trust', `--username=${user}`, '--encoding=UTF8', '--locale=C', '--no-sync'];
  await run('setpriv', [...asNobody, join(programs, 'initdb'), ...options, '-D', data], { cwd: folder });
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off'];
  const server = spawn(
    'setpriv',
    [...asNobody, join(programs, 'postgres'), '-D', data, ...settings.flatMap((one) => ['-c', one])],
    { cwd: folder, stdio: 'ignore' },
  );
  const words = ['-h', folder, '-U', user, '-d', 'postgres'];
  const query = async (sql: string): Promise<readonly string[]> => {
    const { stdout } = await run(join(programs, 'psql'), [...words, '-XAtq', '-c', sql]);
    return stdout.split('\n').filter((line) => line !== '');
  };
  await untilItAnswers(server, query);
  return {
    words,
    connection: `host=${folder} user=${user} dbname=postgres`,
    query,
    stop: () => endDatabase(server, folder),
  };
}

/** A new folder that users of nodes can reach. */
export async function nobodysFolder(): Promise<string> {
  const folder = await mkdtemp('/var/tmp/sluice-database-');
  await chmod(folder, 0o755);
  await chown(folder, nobody, nobody);
  return folder;
}

const run = promisify(execFile);
const nobody = 65_534;
/** For `setpriv`: a user without rights, whose processes end with the one that started them. */
export const asNobody = [
  ...['--reuid', `${nobody}`, '--regid', `${nobody}`, '--clear-groups', '--pdeathsig', 'KILL'],
] as const;
const user = 'shop';

/** Debian puts the programs of each version into a folder of its own. */
async function programFolder(): Promise<string> {
  const all = '/usr/lib/postgresql';
  const [newest] = (await readdir(all)).toSorted((a, b) => Number(b) - Number(a));
  return join(all, newest!, 'bin');
}

/** Rejects after 15 s, or as soon as the server ends. */
export async function untilItAnswers(
  server: ChildProcess,
  query: (sql: string) => Promise<unknown>,
): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 100) {
    try {
      await query('select 1');
      return;
    } catch (error) {
      if (server.exitCode !== null || waitedMs > 15_000) throw error;
      await sleep(100);
    }
  }
}

/** By SIGINT or SIGTERM, whichever the server takes for a fast end. Its folder goes with it. */
export async function endDatabase(
  server: ChildProcess,
  folder: string,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<void> {
  if (server.exitCode === null) {
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
}
