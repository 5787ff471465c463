import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { talk } from '../../src/sandbox/traffic-web-socket.ts';

/** What a client that talks for 200 ms says of a server, which does so with each WebSocket. */
async function talked(serve: ((socket: Duplex) => void) | null): Promise<readonly number[]> {
  const server = createServer((_, response) => void response.writeHead(404).end());
  if (serve)
    server.on('upgrade', (_, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
      serve(socket);
    });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const counts = { opened: 0, echoed: 0, closed: 0, failed: 0 };
  const stopping = new AbortController();
  const client = talk(
    { host: '127.0.0.1', port: String(port), path: '/', pauseMs: 10, lateMs: 100 },
    {
      opened: () => counts.opened++,
      echoed: () => counts.echoed++,
      closed: () => counts.closed++,
      failed: () => counts.failed++,
    },
    stopping.signal,
  );
  await sleep(200);
  stopping.abort();
  await client;
  return Object.values(counts);
}

const echo = (socket: Duplex): void =>
  void socket.on('data', (frame: Buffer) =>
    socket.write(Buffer.concat([Buffer.from([frame[0]!, frame[1]! & 0x7f]), frame.subarray(6)])),
  );

const some = expect.toSatisfy((count: number) => count > 1);

test('messages that come back are counted, on one WebSocket', async () => {
  expect(await talked(echo)).toEqual([1, some, 0, 0]);
});

test('a WebSocket that the server ends is counted as closed, and another one is opened', async () => {
  expect(await talked((socket) => void socket.once('data', () => socket.end()))).toEqual([some, 0, some, 0]);
});

test('a message that does not come back is a failure', async () => {
  expect(await talked(() => {})).toEqual([some, 0, 0, some]);
});

test('a server that refuses the handshake is a failure', async () => {
  expect(await talked(null)).toEqual([0, 0, 0, some]);
});
