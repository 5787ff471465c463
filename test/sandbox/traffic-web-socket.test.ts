import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { talk, type WebSocketEvents } from '../../src/sandbox/traffic-web-socket.ts';

type Serve = (socket: Duplex) => void;

/** What a client says of a server that does so with each handshake, once it has said each of `twice` twice. */
async function talked(
  serve: Serve | null,
  twice: readonly (keyof WebSocketEvents)[],
  lateMs = 10_000,
): Promise<readonly number[]> {
  const server = createServer((_, response) => void response.writeHead(404).end());
  if (serve) server.on('upgrade', (_, socket) => serve(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const counts = { opened: 0, echoed: 0, closed: 0, failed: 0 };
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  const client = talk(
    { host: '127.0.0.1', port: String(port), path: '/', pauseMs: 10, lateMs },
    {
      opened: () => counts.opened++,
      echoed: () => counts.echoed++,
      closed: () => counts.closed++,
      failed: () => counts.failed++,
    },
    stopping.signal,
  );
  await expect.poll(() => Math.min(...twice.map((name) => counts[name])), patience).toBeGreaterThan(1);
  stopping.abort();
  await client;
  return Object.values(counts);
}

const patience = { timeout: 15_000, interval: 10 };

const welcomed =
  (serve: Serve): Serve =>
  (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
    serve(socket);
  };

const echo: Serve = (socket) =>
  void socket.on('data', (frame: Buffer) =>
    socket.write(Buffer.concat([Buffer.from([frame[0]!, frame[1]! & 0x7f]), frame.subarray(6)])),
  );

const some = expect.toSatisfy((count: number) => count > 1);

test('messages that come back are counted, on one WebSocket', async () => {
  expect(await talked(welcomed(echo), ['echoed'])).toEqual([1, some, 0, 0]);
});

test('a WebSocket that the server ends is counted as closed, and another one is opened', async () => {
  const ending = welcomed((socket) => void socket.once('data', () => socket.end()));
  expect(await talked(ending, ['opened', 'closed'])).toEqual([some, 0, some, 0]);
});

test('a message that does not come back is a failure', async () => {
  expect(
    await talked(
      welcomed(() => {}),
      ['opened', 'failed'],
      100,
    ),
  ).toEqual([some, 0, 0, some]);
});

test('a server that refuses the handshake is a failure', async () => {
  expect(await talked(null, ['failed'])).toEqual([0, 0, 0, some]);
});

test('a handshake that is not answered in time is a failure, and its connection is closed', async () => {
  const open = new Set<Duplex>();
  const silent: Serve = (socket) => {
    open.add(socket);
    socket.resume().once('end', () => open.delete(socket.end()));
  };
  expect(await talked(silent, ['failed'], 100)).toEqual([0, 0, 0, some]);
  await expect.poll(() => open.size, patience).toBe(0);
});
