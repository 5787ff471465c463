import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asNobody, endDatabase, nobodysFolder, untilItAnswers } from './database.ts';

/** A real MariaDB without databases and users of its own. */
export interface MariaDb {
  readonly socket: string;
  /** As root. Rows as the client shows them, a line each, columns separated by tabs. */
  query(sql: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Starts it as a user without rights, on a socket of its own and, if an address is named, at its port 3306. */
export async function startMariaDb(address?: string): Promise<MariaDb> {
  const folder = await nobodysFolder();
  const socket = join(folder, 'socket');
  const env = { ...process.env, TMPDIR: folder };
  const data = `--datadir=${join(folder, 'data')}`;
  const small = [
    '--innodb-log-file-size=8M',
    '--innodb-buffer-pool-size=32M',
    '--innodb-flush-method=nosync',
  ];
  await run('setpriv', [...asNobody, 'mariadb-install-db', '--no-defaults', data, ...once, ...small], {
    cwd: folder,
    env,
  });
  const network = address === undefined ? ['--skip-networking'] : [`--bind-address=${address}`];
  const server = spawn(
    'setpriv',
    [...asNobody, 'mariadbd', '--no-defaults', data, `--socket=${socket}`, ...small, ...network],
    { cwd: folder, env, stdio: 'ignore' },
  );
  const query = async (sql: string): Promise<readonly string[]> => {
    const words = ['--no-defaults', `--socket=${socket}`, '--user=root', ...asRows];
    const { stdout } = await run('mariadb', [...words, `--execute=${sql}`], { maxBuffer: 64 * 2 ** 20 });
    return stdout.split('\n').filter((line) => line !== '');
  };
  await untilItAnswers(server, query);
  return { socket, query, stop: () => endDatabase(server, folder, 'SIGTERM') };
}

const run = promisify(execFile);

const once = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
const asRows = ['--default-character-set=utf8mb4', '--batch', '--skip-column-names'];
