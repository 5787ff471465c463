import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../lab/port.ts';

/** Debian's sshd, on all loopback addresses, with host keys of three types and one key that it lets in as root. */
export interface Sshd {
  readonly port: number;
  readonly key: string;
  readonly hostKeys: Readonly<Record<'rsa' | 'ecdsa' | 'ed25519', string>>;
  /** Ends every connection, as a reboot would. */
  killSessions(): void;
  stop(): Promise<void>;
}

export async function startSshd(folder: string, lines: readonly string[] = []): Promise<Sshd> {
  const port = await freePort();
  const config = join(folder, 'sshd_config');
  for (const type of keyTypes) makeKey(type, join(folder, `host_${type}`));
  makeKey('ed25519', join(folder, 'id'));
  mkdirSync('/run/sshd', { recursive: true });
  await writeFile(
    config,
    [
      `Port ${port}`,
      'ListenAddress 0.0.0.0',
      ...keyTypes.map((type) => `HostKey ${folder}/host_${type}`),
      'StrictModes no',
      'PidFile none',
      'UsePAM no',
      // The user's own start files are none of a test's business, and may take their time.
      `SetEnv HOME=${folder}`,
      ...lines,
      // The first value of a setting counts.
      `AuthorizedKeysFile ${folder}/id.pub`,
    ].join('\n'),
  );
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-f', config, '-E', join(folder, 'sshd.log')], {
    stdio: 'inherit',
  });
  const ended = once(sshd, 'close');
  await listening(port);
  const hostKey = async (type: string): Promise<string> =>
    (await readFile(join(folder, `host_${type}.pub`), 'utf8')).split(' ').slice(0, 2).join(' ');
  const [rsa, ecdsa, ed25519] = await Promise.all(keyTypes.map(hostKey));
  return {
    port,
    key: join(folder, 'id'),
    hostKeys: { rsa: rsa!, ecdsa: ecdsa!, ed25519: ed25519! },
    killSessions: () => killChildren(sshd.pid!),
    async stop() {
      killChildren(sshd.pid!);
      sshd.kill();
      await ended;
    },
  };
}

const keyTypes = ['rsa', 'ecdsa', 'ed25519'] as const;

const makeKey = (type: string, path: string): void => {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path]);
};

function killChildren(pid: number): void {
  try {
    execFileSync('pkill', ['-KILL', '-P', String(pid)]);
  } catch {
    // It had none.
  }
}

async function listening(port: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 50) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isUp) return;
    await sleep(50);
  }
  throw new Error(`sshd does not listen on port ${port}`);
}
