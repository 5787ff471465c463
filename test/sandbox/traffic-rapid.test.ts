import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type RapidClient, rapidClient } from '../../src/sandbox/traffic-rapid.ts';

/** A client of a server that answers so, and how many connections that server has seen. */
async function clientOf(answer: (response: ServerResponse) => void, lateMs = 10_000) {
  const seen = { connections: 0 };
  const server = createServer((_, response) => answer(response));
  server.on('connection', () => seen.connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client: RapidClient = rapidClient({
    host: '127.0.0.1',
    port,
    path: '/',
    lateMs,
    bodyEnd: 'end\n',
  });
  onTestFinished(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, seen };
}

const whole = (response: ServerResponse, status = 200): void =>
  void response.writeHead(status, { 'content-length': 4 }).end('end\n');

test('whole answers come over one connection', async () => {
  const { client, seen } = await clientOf((response) => whole(response));
  for (let i = 0; i < 20; i++) expect(await client.ask()).toMatchObject({ status: 200, failure: null });
  expect(seen.connections).toBe(1);
});

test('a server that says it closes the connection is asked over another one', async () => {
  const { client, seen } = await clientOf((response) => whole(response.setHeader('connection', 'close')));
  for (let i = 0; i < 3; i++) expect(await client.ask()).toMatchObject({ status: 200, failure: null });
  expect(seen.connections).toBe(3);
});

test.each<[string, (response: ServerResponse) => void, object, lateMs?: number]>([
  ['another status', (response) => whole(response, 503), { status: 503, failure: { kind: 'wrong' } }],
  [
    'a body that is cut off',
    (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('only this');
      setTimeout(() => response.destroy(), 5);
    },
    { status: 200, failure: { kind: 'truncated' } },
  ],
  [
    'a body without its end',
    (response) => void response.writeHead(200, { 'content-length': 3 }).end('en?'),
    { failure: { kind: 'truncated' } },
  ],
  [
    'a connection that is closed',
    (response) => void response.destroy(),
    { status: null, failure: { kind: 'refused' } },
  ],
  ['silence', () => {}, { status: null, failure: { kind: 'late' } }, 1000],
])('%s is a failure, and the next question is asked all the same', async (_, answer, seen, lateMs) => {
  let asked = 0;
  const { client } = await clientOf(
    (response) => (asked++ === 0 ? answer(response) : whole(response)),
    lateMs,
  );
  expect(await client.ask()).toMatchObject(seen);
  expect(await client.ask()).toMatchObject({ status: 200, failure: null });
});
