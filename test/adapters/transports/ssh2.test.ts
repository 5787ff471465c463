import { execFileSync } from 'node:child_process';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ssh2Transport } from '../../../src/adapters/transports/ssh2.ts';
import type { SshSettings } from '../../../src/core/site.ts';
import type { Transport } from '../../../src/ports.ts';
import { generateKeyPair } from '../../../src/sandbox/ssh-server.ts';
import { commandOf, isCode, transportContract, untilThere } from '../../contracts/transport.ts';
import { type Line, type Sandbox, startLine, startSandbox } from './sandbox.ts';
import { hostOf } from './settings.ts';

transportContract('ssh2', async () => {
  const sandbox = await startSandbox();
  return {
    transport: await ssh2Transport(sandbox.settings(), { become: null }),
    host: hostOf({ port: sandbox.servers[0]!.port }),
    stop: () => sandbox.stop(),
  };
});

describe('ssh2', () => {
  let sandbox: Sandbox;
  let port: number;
  let bastion: number;

  beforeAll(async () => {
    sandbox = await startSandbox(2);
    [port, bastion] = sandbox.servers.map((server) => server.port) as [number, number];
  });
  afterAll(() => sandbox.stop());

  const hello = commandOf('echo hello');

  async function using<T>(
    settings: Partial<SshSettings>,
    use: (transport: Transport) => Promise<T>,
  ): Promise<T> {
    const transport = await ssh2Transport(sandbox.settings(settings), { become: null });
    try {
      return await use(transport);
    } finally {
      await transport.close();
    }
  }

  const greet = (settings: Partial<SshSettings> = {}, host = hostOf({ port })): Promise<string> =>
    using(settings, async (transport) => (await transport.run(host, hello)).stdout);

  const throughLine = async (use: (line: Line) => Promise<void>): Promise<void> => {
    const line = await startLine(port);
    const known = (await readFile(sandbox.knownHosts, 'utf8')).replaceAll(`:${port} `, `:${line.port} `);
    await writeFile(join(sandbox.folder, 'known_line'), known);
    await use(line).finally(() => line.close());
  };
  const overLine = () => ({ knownHosts: [join(sandbox.folder, 'known_line')] });

  test('a connection that is lost during a command leaves its outcome unknown, and the next command opens another', async () => {
    await throughLine((line) =>
      using(overLine(), async (transport) => {
        const host = hostOf({ port: line.port });
        const mark = join(sandbox.folder, 'begun');
        const going = transport.run(host, commandOf(`touch ${mark}; sleep 5`));
        const outcome = expect(going).rejects.toSatisfy(isCode('OUTCOME_UNKNOWN'));
        await untilThere(mark);
        line.cut();
        await outcome;
        expect((await transport.run(host, hello)).stdout).toBe('hello\n');
        expect(transport.counts().connections).toBe(2);
      }),
    );
  });

  test('a connection that was lost between two commands is opened anew for the second', async () => {
    await throughLine((line) =>
      using(overLine(), async (transport) => {
        const host = hostOf({ port: line.port });
        await transport.run(host, hello);
        line.cut();
        await sleep(500);
        expect((await transport.run(host, hello)).stdout).toBe('hello\n');
      }),
    );
  });

  test('a connection that is lost while the new key of its host goes on record is opened anew', async () => {
    const file = join(sandbox.folder, 'slow');
    const line = await startLine(port);
    await using({ knownHosts: [file], hostKeys: 'accept-new' }, async (transport) => {
      const going = transport.run(hostOf({ port: line.port }), hello);
      while (line.connections() === 0) await nextTurn();
      // It is read once more before a line is added to it. That waits until somebody writes into this one.
      execFileSync('mkfifo', [file]);
      const record = await open(file, 'w');
      line.cut();
      while (line.open() > 0) await nextTurn();
      await rm(file);
      await record.close();
      expect((await going).stdout).toBe('hello\n');
    }).finally(() => line.close());
  });

  test('a command that waits for its turn on a connection that is lost is run on a new one', async () => {
    await throughLine((line) =>
      using(overLine(), async (transport) => {
        const host = hostOf({ port: line.port });
        const marks = Array.from({ length: 8 }, (_, i) => join(sandbox.folder, `turn-${i}`));
        const going = marks.map((mark) => transport.run(host, commandOf(`touch ${mark}; sleep 30`)));
        const outcomes = Promise.allSettled(going);
        const waiting = transport.run(host, hello);
        for (const mark of marks) await untilThere(mark);
        line.cut();
        expect((await waiting).stdout).toBe('hello\n');
        for (const outcome of await outcomes)
          expect(outcome).toMatchObject({ reason: { code: 'OUTCOME_UNKNOWN' } });
        expect(transport.counts()).toEqual({ connections: 2, commands: 9 });
      }),
    );
  });

  test('connections that are dropped before the greeting are tried again, as often as the settings say', async () => {
    await throughLine(async (line) => {
      const host = hostOf({ port: line.port });
      line.refuseNext(2);
      expect(await greet({ ...overLine(), attemptsMax: 3 }, host)).toBe('hello\n');
      line.refuseNext(2);
      await expect(greet({ ...overLine(), attemptsMax: 2 }, host)).rejects.toSatisfy(
        isCode('NODE_UNREACHABLE'),
      );
      expect(line.connections()).toBe(5);
    });
  });

  test('a port where nothing listens is unreachable at once', async () => {
    const host = hostOf({ port: 1 });
    await expect(greet({}, host)).rejects.toThrow(/web1 \(127.0.0.1\) could not be reached: .*ECONNREFUSED/);
  });

  test('a server that says nothing is unreachable within the connect timeout', async () => {
    await throughLine(async () => {
      const silent = await startLine(await deafPort());
      const failing = greet({ connectTimeoutMs: 200, attemptsMax: 2 }, hostOf({ port: silent.port }));
      await expect(failing).rejects.toSatisfy(isCode('NODE_UNREACHABLE'));
      await silent.close();
    });
  });

  test('an unknown host key is refused, with its fingerprint, and nothing is stored', async () => {
    const file = join(sandbox.folder, 'empty');
    await expect(greet({ knownHosts: [file] })).rejects.toThrow(
      /is not known: SHA256:\S{43} is not in .*empty\./,
    );
    await expect(stat(file)).rejects.toThrow('ENOENT');
  });

  test('a changed host key is refused, with the place of the old one', async () => {
    const file = join(sandbox.folder, 'changed');
    await writeFile(file, `# a comment\n[127.0.0.1]:${port} ${generateKeyPair().publicKey}\n`);
    for (const hostKeys of ['strict', 'accept-new'] as const) {
      const failing = greet({ knownHosts: [file], hostKeys });
      await expect(failing).rejects.toSatisfy(isCode('HOST_KEY_CHANGED'));
      await expect(failing).rejects.toThrow(`${file}:2 has another`);
    }
  });

  test('accept-new stores the key of an unknown host, for the user alone, and knows it from then on', async () => {
    const file = join(sandbox.folder, 'new/known_hosts');
    expect(await greet({ knownHosts: [file], hostKeys: 'accept-new' })).toBe('hello\n');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(sandbox.folder, 'new'))).mode & 0o777).toBe(0o700);
    expect(await readFile(file, 'utf8')).toBe(`${sandbox.servers[0]!.knownHost}\n`);
    expect(await greet({ knownHosts: [file], hostKeys: 'strict' })).toBe('hello\n');
  });

  test('a refused login names the keys that were tried', async () => {
    const key = join(sandbox.folder, 'stranger');
    await writeFile(key, generateKeyPair().privateKey);
    const failing = greet({ keys: [key] });
    await expect(failing).rejects.toSatisfy(isCode('AUTH_REFUSED'));
    await expect(failing).rejects.toThrow(`web1 refused the login of deploy@127.0.0.1; tried ${key}.`);
  });

  test('a key that is not there is named', async () => {
    await expect(greet({ keys: ['/nonexistent/id'] })).rejects.toThrow(
      'tried /nonexistent/id (cannot be read)',
    );
  });

  test('an encrypted key without an agent says what to do', async () => {
    const key = join(sandbox.folder, 'locked');
    const { default: ssh2 } = await import('ssh2');
    const pair = ssh2.utils.generateKeyPairSync('ed25519', {
      passphrase: 'x',
      cipher: 'aes256-ctr',
      rounds: 1,
    });
    await writeFile(key, pair.private);
    await expect(greet({ keys: [key] })).rejects.toThrow(`${key} (is encrypted: add it to an agent)`);
  });

  test('a host behind a jump host is reached through it, over one connection to each', async () => {
    await using({ jump: [`deploy@127.0.0.1:${bastion}`] }, async (transport) => {
      const host = hostOf({ port });
      expect((await transport.run(host, hello)).stdout).toBe('hello\n');
      await Promise.all([1, 2, 3].map(() => transport.run(host, hello)));
      expect(transport.counts().connections).toBe(2);
    });
  });

  test('the OpenSSH config says name, port, user, key, known hosts and jump host of an alias', async () => {
    const configFile = join(sandbox.folder, 'config');
    await writeFile(
      configFile,
      `Host gate\n  HostName 127.0.0.1\n  Port ${bastion}\n
Host web\n  HostName 127.0.0.1\n  Port ${port}\n  ProxyJump gate\n
Host *\n  User deploy\n  IdentityFile ${sandbox.key}\n  UserKnownHostsFile ${sandbox.knownHosts}\n`,
    );
    await using({ configFile, keys: [], knownHosts: [], user: null }, async (transport) => {
      expect((await transport.run(hostOf({ address: 'web' }), hello)).stdout).toBe('hello\n');
      expect(transport.counts().connections).toBe(2);
    });
  });

  test('a host for which the config has a ProxyCommand is not reached on another way', async () => {
    const configFile = join(sandbox.folder, 'proxied');
    await writeFile(configFile, 'Host *\n  ProxyCommand nc %h %p\n');
    await expect(greet({ configFile })).rejects.toThrow('set ssh.transport to openssh');
  });

  test('a jump host that is down is named', async () => {
    await expect(greet({ jump: ['127.0.0.2:1'] })).rejects.toThrow(/127\.0\.0\.2 .*could not be reached/);
  });

  test('a host that its jump host cannot reach is the one that is unreachable', async () => {
    const failing = greet({ jump: [`127.0.0.1:${bastion}`] }, hostOf({ port: 1 }));
    await expect(failing).rejects.toThrow(
      /^web1 .* could not be reached: 127\.0\.0\.1 has no connection to 127\.0\.0\.1:1/,
    );
  });

  test('a closed transport opens nothing, and leaves no connection behind', async () => {
    const line = await startLine(port);
    await line.close();
    const transport = await ssh2Transport(sandbox.settings(), { become: null });
    const stream = await transport.connect(hostOf({ port }), { kind: 'tcp', host: '127.0.0.1', port });
    await transport.close();
    expect(await text(stream)).toMatch(/^(SSH-2.0.*\r\n)?/);
    await expect(transport.run(hostOf({ port }), hello)).rejects.toThrow('the transport is closed');
  });
});

/** A port that takes connections and never says a word. */
async function deafPort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  server.unref();
  return (server.address() as { port: number }).port;
}
