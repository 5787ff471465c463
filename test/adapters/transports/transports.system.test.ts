import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTransport } from '../../../src/adapters/transports/index.ts';
import type { SshSettings } from '../../../src/core/site.ts';
import type { Transport } from '../../../src/ports.ts';
import { commandOf, isCode, transportContract, untilThere } from '../../contracts/transport.ts';
import { patience } from '../../lab/patience.ts';
import { hostOf, settingsOf } from './settings.ts';
import { type Sshd, startSshd } from './sshd.ts';

const hello = commandOf('echo hello');

describe.each(['ssh2', 'openssh'] as const)('%s, to a real sshd', (kind) => {
  let folder: string;
  let sshd: Sshd;
  let known: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sshd-'));
    sshd = await startSshd(folder, ['MaxStartups 10']);
    known = await knownHosts('known', `* ${sshd.hostKeys.ed25519}`);
  });
  afterAll(async () => {
    await sshd.stop();
    await rm(folder, { recursive: true });
  });

  const knownHosts = async (name: string, ...lines: readonly string[]): Promise<string> => {
    await writeFile(join(folder, name), lines.map((line) => `${line}\n`).join(''));
    return join(folder, name);
  };

  const create = (settings: Partial<SshSettings> = {}): Promise<Transport> => {
    const usual = { transport: kind, keys: [sshd.key], knownHosts: [known], user: 'root', port: sshd.port };
    return createTransport({ ssh: settingsOf({ ...usual, ...settings }), become: null });
  };

  async function using<T>(
    settings: Partial<SshSettings>,
    use: (transport: Transport) => Promise<T>,
  ): Promise<T> {
    const transport = await create(settings);
    return use(transport).finally(() => transport.close());
  }

  /** Another server than that of the other tests. */
  async function usingSshd(
    lines: readonly string[],
    use: (transport: Transport) => Promise<void>,
  ): Promise<void> {
    const inside = await mkdtemp(join(folder, 'other-'));
    const other = await startSshd(inside, lines);
    const file = await knownHosts(`${basename(inside)}-known`, `* ${other.hostKeys.ed25519}`);
    const settings = { port: other.port, keys: [other.key], knownHosts: [file] };
    await using(settings, use).finally(() => other.stop());
  }

  const greet = (settings: Partial<SshSettings> = {}, host = hostOf()): Promise<string> =>
    using(settings, async (transport) => (await transport.run(host, hello)).stdout);

  transportContract(kind, async () => ({
    transport: await create(),
    host: hostOf(),
    stop: async () => undefined,
  }));

  test('a connection that is lost during a command leaves its outcome unknown, and the next command opens another', async () => {
    await using({}, async (transport) => {
      const mark = join(folder, `begun-${kind}`);
      const going = transport.run(hostOf(), commandOf(`touch ${mark}; sleep 30`));
      const outcome = expect(going).rejects.toSatisfy(isCode('OUTCOME_UNKNOWN'));
      await untilThere(mark);
      sshd.killSessions();
      await outcome;
      expect((await transport.run(hostOf(), hello)).stdout).toBe('hello\n');
      expect(transport.counts().connections).toBe(2);
    });
  });

  test('a connection that was lost between two commands is opened anew for the second', async () => {
    await using({}, async (transport) => {
      await transport.run(hostOf(), hello);
      sshd.killSessions();
      // The client has ended its side too, and now has a moment to make something of it.
      await expect.poll(() => connectionsTo(sshd.port), patience).toBe('');
      await sleep(100);
      expect((await transport.run(hostOf(), hello)).stdout).toBe('hello\n');
    });
  });

  test('a port where nothing listens is unreachable', async () => {
    const failing = greet({ port: 1 });
    await expect(failing).rejects.toSatisfy(isCode('NODE_UNREACHABLE'));
    await expect(failing).rejects.toThrow(/refused/i);
  });

  test('an unknown host key is refused with its fingerprint', async () => {
    const failing = greet({ knownHosts: [await knownHosts('empty')] });
    await expect(failing).rejects.toSatisfy(isCode('HOST_KEY_UNKNOWN'));
    await expect(failing).rejects.toThrow(/SHA256:\S{43}/);
  });

  test('a changed host key is refused with the place of the old one', async () => {
    const other = await knownHosts('other', `[127.0.0.1]:${sshd.port} ${await ownPublicKey()}`);
    const failing = greet({ knownHosts: [other] });
    await expect(failing).rejects.toSatisfy(isCode('HOST_KEY_CHANGED'));
    await expect(failing).rejects.toThrow(`${other}:1 has another`);
  });

  test('a revoked host key is refused', async () => {
    const revoked = await knownHosts(
      'revoked',
      `* ${sshd.hostKeys.ed25519}`,
      `@revoked * ${sshd.hostKeys.ed25519}`,
    );
    await expect(greet({ knownHosts: [revoked] })).rejects.toSatisfy(isCode('HOST_KEY_REVOKED'));
  });

  test('a host that is on record under a hash of its name is known', async () => {
    const file = await knownHosts('hashed', `[127.0.0.1]:${sshd.port} ${sshd.hostKeys.ed25519}`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    expect(await readFile(file, 'utf8')).toMatch(/^\|1\|/);
    expect(await greet({ knownHosts: [file] })).toBe('hello\n');
  });

  test.each(['rsa', 'ecdsa', 'ed25519'] as const)(
    'a host of which only the %s key is on record is known',
    async (type) => {
      const file = await knownHosts(type, `[127.0.0.1]:${sshd.port} ${sshd.hostKeys[type]}`);
      expect(await greet({ knownHosts: [file] })).toBe('hello\n');
    },
  );

  test('accept-new stores the key of an unknown host', async () => {
    const file = join(folder, 'accepted');
    expect(await greet({ knownHosts: [file], hostKeys: 'accept-new' })).toBe('hello\n');
    expect(await greet({ knownHosts: [file], hostKeys: 'strict' })).toBe('hello\n');
  });

  test('a refused login is told from an unreachable host', async () => {
    const stranger = join(folder, 'stranger');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    const failing = greet({ keys: [stranger] });
    await expect(failing).rejects.toSatisfy(isCode('AUTH_REFUSED'));
    await expect(failing).rejects.toThrow(`tried ${stranger}`);
  });

  test('an agent logs in, and no key file is needed', async () => {
    await withAgent(sshd.key, async (socket) => {
      const configFile = join(folder, 'agent_config');
      await writeFile(configFile, `IdentityAgent ${socket}\nIdentityFile /nonexistent\n`);
      expect(await greet({ keys: [], agent: true, configFile })).toBe('hello\n');
      await expect(greet({ keys: [], agent: false, configFile })).rejects.toSatisfy(isCode('AUTH_REFUSED'));
    });
  });

  test('sixty hosts behind a bastion with MaxStartups 10 are all reached, over one connection to the bastion', async () => {
    const inside = join(folder, 'bastion');
    await mkdir(inside);
    const bastion = await startSshd(inside, ['MaxStartups 10', `AuthorizedKeysFile ${sshd.key}.pub`]);
    const both = await knownHosts('both', `* ${sshd.hostKeys.ed25519}`, `* ${bastion.hostKeys.ed25519}`);
    const jump = [`root@127.0.0.1:${bastion.port}`];
    await using({ jump, knownHosts: [both], attemptsMax: 5 }, async (transport) => {
      const hosts = Array.from({ length: 60 }, (_, i) =>
        hostOf({ name: `web${i + 1}`, address: `127.0.2.${i + 1}` }),
      );
      const runs = hosts.map((host) => transport.run(host, commandOf('echo hello', 60_000)));
      const failures = (await Promise.allSettled(runs)).filter(({ status }) => status === 'rejected');
      expect(failures).toEqual([]);
      expect(transport.counts().connections).toBe(61);
      const log = await readFile(join(inside, 'sshd.log'), 'utf8');
      expect(log.match(/Accepted publickey/g)).toHaveLength(1);
      expect(log).not.toContain('MaxStartups');
    });
    await bastion.stop();
  });

  test('a server that allows two sessions at a time gets its commands one after the other, over one connection', async () => {
    await usingSshd(['MaxSessions 2'], async (transport) => {
      const runs = Array.from({ length: 12 }, (_, i) =>
        transport.run(hostOf(), commandOf(`sleep 0.2; echo ${i}`)),
      );
      expect((await Promise.all(runs)).map(({ stdout }) => stdout)).toEqual(runs.map((_, i) => `${i}\n`));
      expect(transport.counts().connections).toBe(1);
    });
  });

  test('a server that opens no session at all is unreachable, and that is said', async () => {
    await usingSshd(['MaxSessions 0'], async (transport) => {
      const failing = transport.run(hostOf(), hello);
      await expect(failing).rejects.toSatisfy(isCode('NODE_UNREACHABLE'));
      await expect(failing).rejects.toThrow('it opens no session (see MaxSessions of its sshd)');
    });
  });

  test('a transport that was closed leaves no file and no process behind', async () => {
    const temporary = join(folder, 'tmp');
    await mkdir(temporary);
    vi.stubEnv('TMPDIR', temporary);
    await greet().finally(() => vi.unstubAllEnvs());
    expect(await readdir(temporary)).toEqual([]);
    await expect.poll(() => processesOf(temporary), patience).toBe('');
  });

  const ownPublicKey = async (): Promise<string> =>
    (await readFile(`${sshd.key}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
});

async function withAgent(key: string, use: (socket: string) => Promise<void>): Promise<void> {
  const said = execFileSync('ssh-agent', ['-s'], { encoding: 'utf8' });
  const [, socket, pid] = /SSH_AUTH_SOCK=([^;]+);[\s\S]*SSH_AGENT_PID=(\d+);/.exec(said)!;
  try {
    execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    await use(socket!);
  } finally {
    process.kill(Number(pid));
  }
}

/** The processes whose command line has a text in it. */
const processesOf = (text: string): string =>
  execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(text))
    .join('\n');

/** Those that clients hold to a port, or that only the server has ended. */
const connectionsTo = (port: number): string =>
  execFileSync('ss', ['-Htn', 'state', 'established', 'state', 'close-wait', 'dport', '=', `:${port}`], {
    encoding: 'utf8',
  });
