import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeHttp } from '../../src/adapters/http.ts';
import { ssh2Transport } from '../../src/adapters/transports/ssh2.ts';
import type { Host, HttpQuestion, Transport } from '../../src/ports.ts';
import { isCode } from '../contracts/transport.ts';
import { type Sandbox, startSandbox } from './transports/sandbox.ts';
import { hostOf } from './transports/settings.ts';

const application: RequestListener = async (request, response) => {
  const pages: Record<string, () => void> = {
    '/': () => response.end(`${request.method} ${request.headers.host}`),
    '/echo': () => request.pipe(response),
    '/moved': () => response.writeHead(302, { location: '/' }).end('over there'),
    '/down': () => response.writeHead(503).end('not now'),
    '/big': () => response.end('x'.repeat(1_000_000)),
    '/silent': () => undefined,
    '/slow': () => response.write('half'),
    '/cut': () => {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setTimeout(() => response.destroy(), 20);
    },
  };
  pages[request.url!]!();
};

describe.each(['from here', 'through a host'])('a question %s', (way) => {
  let sandbox: Sandbox;
  let transport: Transport;
  let via: Host | null;
  let folder: string;
  let server: Server;
  let tls: Server;
  let ca: string;

  beforeAll(async () => {
    sandbox = await startSandbox();
    transport = await ssh2Transport(sandbox.settings(), { become: null });
    via = way === 'from here' ? null : hostOf({ port: sandbox.servers[0]!.port });
    server = createServer(application).listen(0, '127.0.0.1');
    folder = mkdtempSync(join(tmpdir(), 'http-'));
    const names = 'subjectAltName=DNS:shop.example.org,IP:127.0.0.1';
    const files = ['-keyout', `${folder}/key`, '-out', `${folder}/cert`];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, '-subj', '/CN=test', '-addext', names, ...files], {
      stdio: 'ignore',
    });
    ca = readFileSync(`${folder}/cert`, 'utf8');
    tls = createTlsServer({ key: readFileSync(`${folder}/key`), cert: ca }, application).listen(
      0,
      '127.0.0.1',
    );
    await Promise.all([once(server, 'listening'), once(tls, 'listening')]);
  });
  afterAll(async () => {
    await transport.close();
    await sandbox.stop();
    for (const one of [server, tls]) one.closeAllConnections();
    for (const one of [server, tls]) one.close();
    rmSync(folder, { recursive: true });
  });

  const urlOf = (at: Server, path: string): string =>
    `${at === tls ? 'https' : 'http'}://127.0.0.1:${(at.address() as AddressInfo).port}${path}`;

  const ask = (path: string, question: Partial<HttpQuestion> = {}, at = server, signal?: AbortSignal) =>
    nodeHttp(transport, at === tls ? { ca: [ca] } : {}).request(
      { method: 'GET', url: urlOf(at, path), headers: {}, via, timeoutMs: 5000, ...question },
      signal,
    );

  test('gives status and body, and sends the Host header that it was given', async () => {
    expect(await ask('/', { headers: { host: 'shop.example.org' } })).toEqual({
      status: 200,
      body: 'GET shop.example.org',
    });
  });

  test('takes any status for an answer, and follows no redirect', async () => {
    expect(await ask('/down')).toEqual({ status: 503, body: 'not now' });
    expect(await ask('/moved')).toEqual({ status: 302, body: 'over there' });
  });

  test('sends a body', async () => {
    expect(await ask('/echo', { method: 'POST', body: 'grüße' })).toEqual({ status: 200, body: 'grüße' });
  });

  test('keeps the first 256 KiB of a long body', async () => {
    expect((await ask('/big')).body).toBe('x'.repeat(256 * 1024));
  });

  test.each([['/silent'], ['/slow']])('is unanswered if %s takes too long', async (path) => {
    const failing = ask(path, { timeoutMs: 150 });
    await expect(failing).rejects.toSatisfy(isCode('HTTP_UNANSWERED'));
    await expect(failing).rejects.toThrow('no whole answer within 150 ms');
  });

  test('is unanswered if the answer breaks off', async () => {
    await expect(ask('/cut')).rejects.toSatisfy(isCode('HTTP_UNANSWERED'));
  });

  test('is unanswered if nothing listens, or what listens speaks no HTTP', async () => {
    await expect(ask('/', { url: 'http://127.0.0.1:1/' })).rejects.toSatisfy(isCode('HTTP_UNANSWERED'));
    const babel = createTcpServer((socket) => socket.end('what?\n')).listen(0, '127.0.0.1');
    await once(babel, 'listening');
    const url = `http://127.0.0.1:${(babel.address() as AddressInfo).port}/`;
    await expect(ask('/', { url })).rejects.toSatisfy(isCode('HTTP_UNANSWERED'));
    babel.close();
  });

  test('is unanswered if it is interrupted', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await expect(ask('/silent', {}, server, stop.signal)).rejects.toSatisfy(isCode('HTTP_UNANSWERED'));
  });

  test('checks a certificate against the name in the Host header, or else the address', async () => {
    const named = { headers: { host: 'shop.example.org' } };
    expect(await ask('/', named, tls)).toEqual({ status: 200, body: 'GET shop.example.org' });
    expect((await ask('/', {}, tls)).status).toBe(200);
    await expect(ask('/', { headers: { host: 'other.example.org' } }, tls)).rejects.toThrow('altnames');
  });

  test('trusts no certificate of an unknown authority', async () => {
    const question = { method: 'GET', url: urlOf(tls, '/'), headers: {}, via, timeoutMs: 5000 } as const;
    await expect(nodeHttp(transport).request(question)).rejects.toThrow(/self-signed certificate/);
  });
});
