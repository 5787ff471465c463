import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NodeCommand } from '../../src/core/command.ts';
import { type ErrorCode, isDeployError } from '../../src/core/errors.ts';
import type { Host, StreamTarget, Transport } from '../../src/ports.ts';
import { patience } from '../lab/patience.ts';

/** A way to the machine on which the test runs, over the transport that is tested. */
export interface TransportUnderTest {
  readonly transport: Transport;
  readonly host: Host;
  stop(): Promise<void>;
}

/** What `Transport` promises, whatever is behind it. */
export function transportContract(name: string, start: () => Promise<TransportUnderTest>): void {
  describe(`${name} as a transport`, () => {
    let under: TransportUnderTest;
    let transport: Transport;
    let host: Host;
    let folder: string;

    beforeAll(async () => {
      under = await start();
      ({ transport, host } = under);
      folder = await mkdtemp(join(tmpdir(), 'contract-'));
    });

    afterAll(async () => {
      await transport.close();
      await under.stop();
      await rm(folder, { recursive: true });
    });

    const run = (script: string, options?: Parameters<Transport['run']>[2], timeoutMs?: number) =>
      transport.run(host, commandOf(script, timeoutMs), options);

    test('a command gives its status and both outputs', async () => {
      expect(await run('echo out; echo err >&2; exit 7')).toEqual({
        status: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
    });

    test('a command without input finds it empty', async () => {
      expect(await run('wc -c')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\s*0\n$/) });
    });

    test('a script stops at its first failing line and at an unset variable', async () => {
      expect(await run('false; echo on')).toMatchObject({ status: 1, stdout: '' });
      expect((await run('echo "$unset_variable"; echo on')).stdout).toBe('');
    });

    test('quotes, dollars, newlines and letters of any script arrive as they are', async () => {
      const odd = `it's "here" $HOME \`x\` \\n ünïcödé`;
      expect((await run(`cat <<'end'\n${odd}\nend`)).stdout).toBe(`${odd}\n`);
    });

    test('status 255 of a command is a result', async () => {
      expect(await run('echo so >&2; exit 255')).toEqual({ status: 255, stdout: '', stderr: 'so\n' });
    });

    test('a command that is killed has 128 and the number of the signal as its status', async () => {
      expect(await run('kill -9 $$')).toMatchObject({ status: 137 });
    });

    test('several megabytes of input arrive byte for byte, and are counted', async () => {
      const bytes = Buffer.alloc(5_000_017, 'sluice and weir ');
      const sent: number[] = [];
      const { stdout } = await run('sha256sum', { stdin: () => pieces(bytes), onSent: (n) => sent.push(n) });
      expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'));
      expect(sent.at(-1)).toBe(bytes.length);
      expect(sent).toEqual([...sent].sort((a, b) => a - b));
    });

    test('a command that does not read its input still gives its result', async () => {
      const result = await run('exit 3', { stdin: () => pieces(Buffer.alloc(8_000_000)) });
      expect(result.status).toBe(3);
    });

    test('input that cannot be read is an error', async () => {
      const broken = async function* () {
        yield Buffer.from('half');
        throw new Error('the disk is gone');
      };
      await expect(run('cat', { stdin: broken })).rejects.toThrow('the disk is gone');
    });

    test('megabytes of output arrive whole', async () => {
      expect((await run('head -c 5000000 /dev/zero')).stdout).toHaveLength(5_000_000);
    });

    test('of the errors the last 16 KiB arrive', async () => {
      const { stderr } = await run('seq 1 20000 >&2');
      expect(stderr).toHaveLength(16 * 1024);
      expect(stderr).toMatch(/\n20000\n$/);
    });

    test('more than 16 MiB of output is an error', async () => {
      const endless = run('head -c 20000000 /dev/zero');
      await expect(endless).rejects.toSatisfy(isCode('OUTPUT_TOO_LONG'));
    });

    test('forty commands at once share one connection', async () => {
      const before = transport.counts();
      const results = await Promise.all(Array.from({ length: 40 }, (_, i) => run(`sleep 0.05; echo ${i}`)));
      expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 40 }, (_, i) => `${i}\n`));
      expect(transport.counts().commands - before.commands).toBe(40);
      expect(transport.counts().connections).toBeLessThanOrEqual(1);
    });

    test('a command that takes too long is given up in time', async () => {
      const start = Date.now();
      await expect(run('sleep 30', {}, 200)).rejects.toSatisfy(isCode('COMMAND_TIMEOUT'));
      expect(Date.now() - start).toBeLessThan(15_000);
      expect((await run('echo still here')).stdout).toBe('still here\n');
    });

    test('nothing is run under a signal that is already aborted', async () => {
      const mark = join(folder, 'must-not-be');
      await expect(run(`touch ${mark}`, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
        'stop',
      );
      expect((await run(`test -e ${mark} || echo absent`)).stdout).toBe('absent\n');
    });

    test('of a command that is interrupted the outcome is unknown', async () => {
      const stop = new AbortController();
      const mark = join(folder, 'begun');
      const going = run(`touch ${mark}; sleep 30`, { signal: stop.signal });
      const outcome = expect(going).rejects.toSatisfy(isCode('OUTCOME_UNKNOWN'));
      await untilThere(mark);
      stop.abort();
      await outcome;
    });

    test('a stream reaches a TCP port as the host sees it', async () => {
      await withEcho({ host: '127.0.0.1', port: 0 }, async (server) => {
        const { port } = server.address() as { port: number };
        expect(await shout(transport, host, { kind: 'tcp', host: '127.0.0.1', port })).toBe('HELLO');
      });
    });

    test('a stream reaches a unix socket as the host sees it', async () => {
      const path = join(folder, 'echo.sock');
      await withEcho({ path }, async () => {
        expect(await shout(transport, host, { kind: 'unix', path })).toBe('HELLO');
        expect(await shout(transport, host, { kind: 'unix', path })).toBe('HELLO');
      });
    });

    test('a stream to where nothing listens is refused, or ends without a byte', async () => {
      const path = join(folder, 'nobody.sock');
      expect(await shout(transport, host, { kind: 'unix', path }).catch(() => '')).toBe('');
    });
  });
}

/** For a command that says by a file that it has begun. */
export const untilThere = (file: string): Promise<void> =>
  expect.poll(() => existsSync(file), patience).toBe(true);

export const commandOf = (script: string, timeoutMs = 60_000): NodeCommand<string> => ({
  name: 'test',
  params: {},
  summary: script.slice(0, 60),
  script,
  parse: (stdout) => stdout,
  timeoutMs,
});

export const isCode =
  (...codes: ErrorCode[]) =>
  (error: unknown): boolean =>
    isDeployError(error, ...codes);

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

async function shout(transport: Transport, host: Host, to: StreamTarget): Promise<string> {
  const stream: Duplex = await transport.connect(host, to);
  stream.on('error', () => undefined).end('hello');
  return text(stream);
}

/** A server that answers in capitals when it has heard all. */
async function withEcho(
  at: { readonly path: string } | { readonly host: string; readonly port: number },
  use: (server: Server) => Promise<void>,
): Promise<void> {
  const answer = (socket: Socket): void => {
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.on('end', () => socket.end(heard.toUpperCase()));
  };
  const server = createServer({ allowHalfOpen: true }, answer).listen(at);
  await once(server, 'listening');
  try {
    await use(server);
  } finally {
    server.close();
  }
}
