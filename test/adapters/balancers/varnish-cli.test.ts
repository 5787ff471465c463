import { Duplex, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import {
  answersIn,
  askThrough,
  type CliAnswer,
  responseTo,
} from '../../../src/adapters/balancers/varnish-cli.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { Transport } from '../../../src/ports.ts';

const frame = (status: number, text: string): string =>
  `${`${status} ${Buffer.byteLength(text)}`.padEnd(12)}\n${text}\n`;

async function read(chunks: readonly (string | Uint8Array)[]): Promise<readonly CliAnswer[]> {
  const answers: CliAnswer[] = [];
  const bytes = chunks.map((chunk) => Buffer.from(chunk as string));
  for await (const answer of answersIn(Readable.from(bytes))) answers.push(answer);
  return answers;
}

test('answers are read whole, however the bytes come', async () => {
  const bytes = Buffer.from(frame(200, 'one\ntwo') + frame(106, '') + frame(200, '€ 200 5       \n'));
  const wanted = [
    { status: 200, text: 'one\ntwo' },
    { status: 106, text: '' },
    { status: 200, text: '€ 200 5       \n' },
  ];
  expect(await read([bytes])).toEqual(wanted);
  expect(await read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(wanted);
});

test.each([
  ['something else', 'HTTP/1.1 400 Bad Request\r\n\r\n', /no Varnish CLI: "HTTP/],
  ['a length that is none', '200 -1       \n', /no Varnish CLI/],
  ['a text that is longer than it says', '200 3       \nabcd\n', /no Varnish CLI/],
  ['an answer that would fill the memory', '200 99999999\n', /longer than/],
  ['half a first line', '200 3', /in the middle/],
  ['half a text', '200 300     \nabc', /in the middle/],
])('%s is refused', async (_, text, message) => {
  await expect(read([text])).rejects.toThrow(message);
});

test('the response is the SHA-256 that varnish-cli(7) shows', () => {
  const greeting = 'ixslvvxrgkjptxmcgnnsdxsvdmvfympg\n\nAuthentication required.\n';
  const secret = new Secret(Buffer.from('foo\n').toString('hex'));
  expect(responseTo(greeting, secret)).toBe(
    '455ce847f0073c7ab3b1465f74507b75d3dc064c1e7de3b71e00de9092fdc89a',
  );
  expect(() => responseTo('none', secret)).toThrow(/challenge/);
});

test('a CLI that asks for no secret is told the commands at once, and no secret is fetched', async () => {
  const { ask, told } = scripted([frame(200, 'banner'), frame(200, 'PONG'), frame(101, 'what?')]);
  expect(await ask(['ping', 'pang'], (answers) => answers)).toEqual([
    { status: 200, text: 'PONG' },
    { status: 101, text: 'what?' },
  ]);
  expect(told()).toBe('ping\npang\n');
});

test('a session that ends before every command was answered is unreachable', async () => {
  const { ask } = scripted([frame(200, 'banner'), frame(200, 'PONG')]);
  await expect(ask(['ping', 'ping'], () => null)).rejects.toMatchObject({
    code: 'BALANCER_UNREACHABLE',
    details: { reason: 'the connection ended before every command was answered' },
  });
});

test('a greeting that is neither banner nor challenge is a refusal', async () => {
  const { ask } = scripted([frame(500, '')]);
  await expect(ask(['ping'], () => null)).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
});

test('a command that would be two is a bug, and nothing is connected to', async () => {
  const { ask } = scripted([]);
  await expect(ask(['ping\nstop'], () => null)).rejects.toThrow(/parts or escapes/);
});

/** A CLI that says all of this, whatever it is told. */
function scripted(frames: readonly string[]) {
  const told: string[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      told.push(String(chunk));
      done();
    },
  });
  for (const one of frames) stream.push(one);
  stream.push(null);
  const transport: Transport = {
    run: () => Promise.reject(new Error('nothing is run')),
    connect: async () => stream,
    close: async () => {},
    counts: () => ({ connections: 0, commands: 0 }),
  };
  const ask = askThrough({
    balancer: 'lb',
    address: 'cache1',
    cli: { kind: 'tcp', host: '127.0.0.1', port: 6082 },
    host: { name: 'cache1', address: 'cache1', user: null, port: null },
    transport,
    timeoutMs: 2000,
    secret: () => Promise.reject(new Error('no secret was asked for')),
  });
  return { ask, told: () => told.join('') };
}
