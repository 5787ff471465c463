import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../lab/port.ts';

export interface GitServer {
  /** `git://…` of one repository. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves a repository to nodes, which cannot see the operator's files. It ends with the process that started it. */
export async function startGitServer(repository: string): Promise<GitServer> {
  const port = await freePort();
  const words = ['--reuseaddr', '--export-all', '--listen=127.0.0.1', `--port=${port}`];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', daemon, ...words, `--base-path=${dirname(repository)}`],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'exit');
  for (let waitedMs = 0; !(await listens(port)); waitedMs += 20) {
    if (child.exitCode !== null || waitedMs > 5000) throw new Error(`${daemon} does not run`);
    await sleep(20);
  }
  return {
    url: `git://127.0.0.1:${port}${repository.slice(dirname(repository).length)}`,
    async stop() {
      child.kill();
      await ended;
    },
  };
}

/** Started without `git`, which would be another process in between. */
const daemon = '/usr/lib/git-core/git-daemon';

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
