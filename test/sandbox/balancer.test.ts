import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import {
  Agent,
  createServer,
  get,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { type BalancerOptions, type RunningBalancer, startBalancer } from '../../src/sandbox/balancer.ts';

const token = new Secret('open sesame');
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function web(
  name: string,
  handle: RequestListener,
): Promise<BalancerOptions['servers'][number] & { server: Server }> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { name, host: '127.0.0.1', port: (server.address() as AddressInfo).port, server };
}

async function balance(options: Omit<BalancerOptions, 'token'>): Promise<RunningBalancer> {
  const running = await startBalancer({ token, ...options });
  closers.push(running.close);
  return running;
}

const named =
  (name: string): RequestListener =>
  (_, response) =>
    response.end(name);

/** A port on which connections are refused. */
async function refused(name: string) {
  const { server, ...rest } = await web(name, named(name));
  server.close();
  return rest;
}

const admin = ({ adminUrl }: RunningBalancer, options: RequestInit = {}, secret = token.reveal()) =>
  fetch(`${adminUrl}/servers`, { ...options, headers: { authorization: `Bearer ${secret}` } });

const patch = (running: RunningBalancer, body: unknown) =>
  admin(running, { method: 'PATCH', body: typeof body === 'string' ? body : JSON.stringify(body) });

const serversOf = async (running: RunningBalancer) =>
  ((await (await admin(running)).json()) as { servers: Record<string, unknown>[] }).servers;

const patience = { timeout: 15_000, interval: 10 };

describe('the proxy', () => {
  test('passes on method, path, headers, body and status, and says whom it speaks for', async () => {
    const seen: IncomingMessage[] = [];
    const front = await balance({
      servers: [
        await web('web1', async (question, response) => {
          seen.push(question);
          let body = '';
          for await (const chunk of question) body += String(chunk);
          response.writeHead(418, { 'x-tea': 'green' }).end(`got ${body}`);
        }),
      ],
    });
    const answer = await fetch(`${front.url}/pot?size=2`, {
      method: 'POST',
      body: 'leaves',
      headers: { host: 'tea.example.org', te: 'trailers' },
    });
    expect(answer.status).toBe(418);
    expect(answer.headers.get('x-tea')).toBe('green');
    expect(await answer.text()).toBe('got leaves');
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/pot?size=2' });
    expect(seen[0]!.headers).toMatchObject({ 'x-forwarded-for': expect.stringContaining('127.0.0.1') });
    expect(seen[0]!.headers.te).toBeUndefined();
  });

  test('keeps connections on both sides, whatever the server says to its own', async () => {
    const upstream = await web('web1', named('web1'));
    let connections = 0;
    upstream.server.on('connection', () => connections++);
    const front = await balance({ servers: [upstream] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    const reused: boolean[] = [];
    for (let i = 0; i < 3; i++) {
      const question = request(front.url, { agent }).end();
      const [answer] = (await once(question, 'response')) as [IncomingMessage];
      await answer.toArray();
      expect(answer.headers).toMatchObject({ connection: 'keep-alive' });
      reused.push(question.reusedSocket);
    }
    expect(reused).toEqual([false, true, true]);
    expect(connections).toBe(1);
  });

  test('gives servers requests by their weight', async () => {
    const heavy = { ...(await web('web1', named('web1'))), weight: 3 };
    const light = { ...(await web('web2', named('web2'))), weight: 1 };
    const front = await balance({ servers: [heavy, light] });
    for (let i = 0; i < 8; i++) await (await fetch(front.url)).text();
    expect(await serversOf(front)).toMatchObject([{ requests: 6 }, { requests: 2 }]);
  });

  test('sends a request elsewhere, body and all, if a server takes no connection', async () => {
    const echo: RequestListener = (question, response) => question.pipe(response);
    const front = await balance({ servers: [await refused('web1'), await web('web2', echo)] });
    const body = 'x'.repeat(1_000_000);
    const answers = await Promise.all([1, 2, 3].map(() => fetch(front.url, { method: 'POST', body })));
    for (const answer of answers) expect((await answer.text()) === body).toBe(true);
    expect(await serversOf(front)).toMatchObject([
      { requests: 0, failures: 0, inFlight: 0 },
      { requests: 3, failures: 0, inFlight: 0 },
    ]);
  });

  test('never sends a request twice that a server may have seen', async () => {
    let posts = 0;
    const dying: RequestListener = (question) => {
      posts++;
      question.socket.destroy();
    };
    const front = await balance({ servers: [await web('web1', dying), await web('web2', dying)] });
    const answer = await fetch(front.url, { method: 'POST', body: 'once' });
    expect(answer.status).toBe(502);
    expect(await answer.text()).toMatch(/^502: no answer from web1: /);
    expect(posts).toBe(1);
    expect((await serversOf(front))[0]).toMatchObject({ requests: 1, failures: 1, inFlight: 0 });
  });

  test('asks another server if one closes a connection that was kept, as a question is sent on it', async () => {
    let dies = false;
    const moody = await web('web1', (question, response) => {
      if (dies) question.socket.destroy();
      else response.end('web1');
    });
    const front = await balance({ servers: [moody, await web('web2', named('web2'))] });
    for (let i = 0; i < 4; i++) await (await fetch(front.url)).text();
    dies = true;
    const answer = await fetch(front.url);
    expect([answer.status, await answer.text()]).toEqual([200, 'web2']);
  });

  test('says why no server takes a request, and counts it', async () => {
    const front = await balance({ servers: [await web('web1', named('web1')), await refused('web2')] });
    await patch(front, { web1: { rotation: 'draining' } });
    const unreachable = await fetch(front.url);
    expect([unreachable.status, await unreachable.text()]).toEqual([
      503,
      expect.stringMatching(/^503: no server can take the request: web2: connect ECONNREFUSED/),
    ]);
    await patch(front, { web2: { rotation: 'out' } });
    const none = await fetch(front.url);
    expect([none.status, await none.text()]).toEqual([
      503,
      '503: no server can take the request: web1 is draining, web2 is out\n',
    ]);
    expect(await (await admin(front)).json()).toMatchObject({ unserved: 2 });
  });

  test('an answer that its server cuts off is cut off for the client too, and is a failure', async () => {
    const cutting: RequestListener = (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    };
    const front = await balance({ servers: [await web('web1', cutting)] });
    await expect(fetch(front.url).then((answer) => answer.text())).rejects.toThrow();
    expect(await serversOf(front)).toMatchObject([{ requests: 1, failures: 1, inFlight: 0 }]);
  });

  test('a 5xx is passed on, and is a failure', async () => {
    const front = await balance({
      servers: [await web('web1', (_, response) => response.writeHead(500).end('no'))],
    });
    expect((await fetch(front.url)).status).toBe(500);
    expect(await serversOf(front)).toMatchObject([{ requests: 1, failures: 1 }]);
  });

  test('a request is in flight until its last byte, or until its client has gone, which is no failure', async () => {
    const endless = await web('web1', (_, response) => response.write('on and on'));
    const front = await balance({ servers: [endless] });
    const question = request(front.url, { agent: false }).end();
    await once(question, 'response');
    expect(await serversOf(front)).toMatchObject([{ inFlight: 1, requests: 1 }]);
    question.destroy();
    await vi.waitFor(
      async () => expect(await serversOf(front)).toMatchObject([{ inFlight: 0, failures: 0 }]),
      patience,
    );
  });

  test('a request whose client goes away before there is an answer says nothing about the server', async () => {
    const front = await balance({ servers: [await web('web1', () => {})] });
    const question = request(front.url, { agent: false }).end();
    question.on('error', () => {});
    await vi.waitFor(async () => expect(await serversOf(front)).toMatchObject([{ requests: 1 }]), patience);
    question.destroy();
    await vi.waitFor(
      async () => expect(await serversOf(front)).toMatchObject([{ inFlight: 0, requests: 1, answered: 0 }]),
      patience,
    );
  });
});

describe('checks', () => {
  test('the first check is made before the balancer listens, and decides', async () => {
    const servers = [await web('web1', named('web1')), await refused('web2')];
    const check = { path: '/', intervalMs: 60_000, rise: 3, fall: 3 };
    // Where all stands still for a second a good answer is late, and another balancer has to check anew.
    await vi.waitFor(async () => {
      const front = await balance({ servers, check });
      expect(await serversOf(front)).toMatchObject([{ health: 'up' }, { health: 'down' }]);
      expect((await fetch(front.url)).status).toBe(200);
    }, patience);
  });

  test('a server serves once it is healthy, from the start on, and no longer when it is not', async () => {
    let healthy = false;
    const moody = await web('web1', (question, response) => {
      response.writeHead(question.url === '/up' && !healthy ? 503 : 200).end('web1');
    });
    const front = await balance({
      servers: [moody],
      check: { path: '/up', intervalMs: 10, rise: 2, fall: 2 },
    });
    expect((await fetch(front.url)).status).toBe(503);
    healthy = true;
    await vi.waitFor(async () => expect((await fetch(front.url)).status).toBe(200), patience);
    healthy = false;
    await vi.waitFor(async () => expect((await fetch(front.url)).status).toBe(503), patience);
    expect(await serversOf(front)).toMatchObject([{ rotation: 'in', health: 'down' }]);
  });
});

describe('the admin API', () => {
  test('shows nothing without its token', async () => {
    const front = await balance({ servers: [await web('web1', named('web1'))] });
    for (const wrong of ['', 'open', 'open sesame!'])
      expect((await admin(front, {}, wrong)).status).toBe(401);
    expect((await fetch(`${front.adminUrl}/servers`)).status).toBe(401);
  });

  test('changes all or nothing', async () => {
    const front = await balance({ servers: [await web('web1', named('web1'))] });
    const unknown = await patch(front, { web1: { rotation: 'out' }, web9: { rotation: 'out' } });
    expect([unknown.status, await unknown.json()]).toEqual([404, { error: 'there is no server web9' }]);
    expect(await serversOf(front)).toMatchObject([{ rotation: 'in' }]);
    const changed = await patch(front, { web1: { rotation: 'out', weight: 7 } });
    expect(await changed.json()).toMatchObject({ servers: [{ name: 'web1', rotation: 'out', weight: 7 }] });
  });

  test.each([
    ['no JSON', expect.stringMatching(/^expected an object.*, got "no JSON"$/)],
    [{ web1: { rotation: 'up' } }, `web1.rotation: expected 'in' or 'draining' or 'out', got "up"`],
    [{ web1: { weight: 257 } }, 'web1.weight: expected a whole number from 0 to 256, got 257'],
    [{ web1: { rotatoin: 'in' } }, 'web1.rotatoin: unknown setting; did you mean rotation?'],
  ])('refuses %j', async (body, error) => {
    const front = await balance({ servers: [await web('web1', named('web1'))] });
    const answer = await patch(front, body);
    expect([answer.status, await answer.json()]).toEqual([400, { error }]);
  });

  test('knows one address and two methods', async () => {
    const front = await balance({ servers: [] });
    expect((await admin(front, { method: 'DELETE' })).status).toBe(405);
    const headers = { authorization: `Bearer ${token.reveal()}` };
    expect((await fetch(`${front.adminUrl}/server`, { headers })).status).toBe(404);
  });
});

describe('the state file', () => {
  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), 'balancer-'));
    closers.push(() => rmSync(made, { recursive: true }));
    return made;
  };

  test('keeps rotation and weights over a restart, and nothing else lies beside it', async () => {
    const [dir, web1, web2] = [folder(), await web('web1', named('web1')), await web('web2', named('web2'))];
    const stateFile = join(dir, 'state.json');
    const first = await balance({ servers: [web1, web2], stateFile });
    await patch(first, { web1: { rotation: 'draining' }, web2: { weight: 9 } });
    expect(readdirSync(dir)).toEqual(['state.json']);
    await first.close();
    const second = await balance({ servers: [web2, web1], stateFile });
    expect(await serversOf(second)).toMatchObject([
      { name: 'web2', rotation: 'in', weight: 9 },
      { name: 'web1', rotation: 'draining', weight: 100 },
    ]);
  });

  test('is not guessed at', async () => {
    const stateFile = join(folder(), 'state.json');
    writeFileSync(stateFile, '{"servers": {"web1": {"rotation": "away"}}}');
    await expect(balance({ servers: [], stateFile })).rejects.toThrow(
      "expected 'in' or 'draining' or 'out', got \"away\"",
    );
    writeFileSync(stateFile, '{"web1"');
    await expect(balance({ servers: [], stateFile })).rejects.toThrow(`${stateFile} cannot be read`);
    expect(readFileSync(stateFile, 'utf8')).toBe('{"web1"');
  });
});

describe('close', () => {
  test('lets the request in flight end, takes no new one, and closes idle connections', async () => {
    let finish = () => {};
    const slow = await web('web1', (question, response) => {
      if (question.url !== '/slow') return void response.end('quick');
      response.write('slow');
      finish = () => response.end(', whole');
    });
    const front = await balance({ servers: [slow] });
    await (await fetch(`${front.url}/quick`)).text();
    const answer = await fetch(`${front.url}/slow`);
    const closed = front.close();
    await vi.waitFor(
      () => expect(fetch(front.url, { headers: { connection: 'close' } })).rejects.toThrow(),
      patience,
    );
    finish();
    expect(await answer.text()).toBe('slow, whole');
    const startedAt = performance.now();
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  test('a port that is taken is an error, and leaves nothing listening', async () => {
    const front = await balance({ servers: [] });
    const adminPort = Number(new URL(front.adminUrl).port);
    await expect(balance({ servers: [], adminPort })).rejects.toThrow('EADDRINUSE');
  });
});

describe('the proxy and upgrades', () => {
  const headers = { connection: 'Upgrade', upgrade: 'websocket' };
  /** Sends a head as it stands, and collects all that comes back until the other side ends. */
  const said = async (url: string, head: string): Promise<string> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`${head}\r\nhost: any\r\n\r\n`);
    return text(socket);
  };

  test('a server that wants no WebSocket answers as it likes, and counts as any answer', async () => {
    const server = await web('web1', (_, response) => response.writeHead(403).end('no'));
    const front = await balance({ servers: [server] });
    const [answer] = await once(get(front.url, { headers }), 'response');
    expect([answer.statusCode, await text(answer)]).toEqual([403, 'no']);
    await vi.waitFor(
      async () =>
        expect(await serversOf(front)).toMatchObject([
          { inFlight: 0, webSockets: 0, answered: 1, refused: 1 },
        ]),
      patience,
    );
  });

  test('a WebSocket goes to another server when the first one cannot be reached', async () => {
    const server = await web('web2', named('web2'));
    server.server.on('upgrade', (_, socket) =>
      socket.end('HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-by: web2\r\n\r\nbye'),
    );
    const front = await balance({ servers: [await refused('web1'), server] });
    for (let i = 0; i < 2; i++) {
      const [answer, socket, head] = await once(get(front.url, { headers }), 'upgrade');
      expect(answer.headers['x-by']).toBe('web2');
      expect(head.toString() + (await text(socket))).toBe('bye');
    }
    await vi.waitFor(
      async () =>
        expect(await serversOf(front)).toMatchObject([
          { inFlight: 0, answered: 0 },
          { inFlight: 0, answered: 2 },
        ]),
      patience,
    );
  });

  test('any other upgrade is answered as if nothing but an answer was wanted', async () => {
    const front = await balance({ servers: [await web('web1', named('web1'))] });
    const head = (rest: string) => `GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c${rest}`;
    expect(await said(front.url, head(''))).toMatch(/^HTTP\/1.1 200 [\s\S]*connection: close[\s\S]*web1$/i);
    expect(await said(front.url, head('\r\ncontent-length: 3'))).toMatch(/^HTTP\/1.1 501 /);
  });

  test('WebSockets end with the balancer', async () => {
    const server = await web('web1', named('web1'));
    server.server.on('upgrade', (_, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    });
    const front = await balance({ servers: [server] });
    const [, socket] = await once(get(front.url, { headers }), 'upgrade');
    const ended = once(socket.on('error', () => {}).resume(), 'close');
    await front.close();
    await ended;
  });
});

test('the preview shows the pool that gets no requests, whichever that is', async () => {
  const servers = [
    { ...(await web('web1', named('web1'))), pool: 'blue' },
    { ...(await web('web2', named('web2'))), pool: 'green' },
    { ...(await web('web3', named('web3'))), pool: 'blue' },
  ];
  const front = await balance({ servers, previewPort: 0 });
  const shown = async () =>
    new Set(await Promise.all([1, 2, 3].map(async () => (await fetch(front.previewUrl!)).text())));
  expect(await shown()).toEqual(new Set(['web2']));
  await fetch(`${front.adminUrl}/pool`, {
    method: 'PATCH',
    body: JSON.stringify({ to: 'green' }),
    headers: { authorization: `Bearer ${token.reveal()}` },
  });
  expect(await shown()).toEqual(new Set(['web1', 'web3']));
  expect((await balance({ servers })).previewUrl).toBeNull();
});
