import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTransport } from '../../../src/adapters/transports/index.ts';
import { answeredBetween, type Counted } from '../../../src/core/counts.ts';
import { judge } from '../../../src/core/verdict.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import {
  type Backend,
  balancerContract,
  ofNode,
  rotations,
  sessions,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { webSocketsContract } from '../../contracts/balancer-web-sockets.ts';
import { defaultVerdictOptions } from '../../core/verdict-power.ts';
import { ask, type RunningHaproxy, startHaproxy } from '../../lab/haproxy.ts';
import { patience } from '../../lab/patience.ts';
import { freePort } from '../../lab/port.ts';
import { settingsOf } from '../transports/settings.ts';
import { startSshd } from '../transports/sshd.ts';
import { abilitiesOf, driver, startLab } from './haproxy-lab.ts';
import { reloadContract } from './haproxy-reload.ts';

balancerContract('one HAProxy, over its unix socket', abilitiesOf(), (backends) => startLab(backends));
balancerContract('two HAProxy, over TCP', abilitiesOf({ requests: 'counted' }), (backends) =>
  startLab(backends, { count: 2, over: 'tcp', remembers: true }),
);
balancerContract(
  'two HAProxy on a machine that is reached through SSH',
  abilitiesOf({ rotation: 'kept', requests: 'counted' }),
  (backends) => startLab(backends, { count: 2, over: 'ssh', remembers: true }),
);

reloadContract('HAProxy that is reloaded', 'haproxy');

describe('HAProxy with WebSockets', () => {
  let lab: Awaited<ReturnType<typeof startLab>>;
  let backends: readonly Backend[];
  beforeEach(async () => {
    backends = [await startBackend('web1'), await startBackend('web2')];
    lab = await startLab(backends);
  });
  afterEach(async () => {
    await lab.close();
    await Promise.all(backends.map((backend) => backend.close()));
  });

  webSocketsContract(() => ({ balancer: lab.balancer, url: lab.urls[0]! }));
});

describe('two HAProxy with two pools', () => {
  let lab: FlipLab;
  let folder: string;
  let map: string;
  let running: readonly RunningHaproxy[];
  let backends: readonly Backend[];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
    map = join(folder, 'live.map');
    writeFileSync(map, '# live\nactivity high\nactive pool_blue\n');
    backends = [await startBackend('web1'), await startBackend('web2')];
    const starts = [1, 2].map(async (i) => {
      const dir = join(folder, String(i));
      mkdirSync(dir);
      return startHaproxy({
        dir,
        socket: join(dir, 'socket'),
        frontendPort: await freePort(),
        frontend: [`use_backend %[str(active),map(${map})]`],
        backends: [
          { name: 'nowhere', servers: [] },
          { name: 'pool_blue', servers: [{ name: 'web1', port: backends[0]!.port }] },
          { name: 'pool_green', servers: [{ name: 'web2', port: backends[1]!.port }] },
        ],
      });
    });
    running = await Promise.all(starts);
    lab = {
      balancer: poolDriver(),
      members: 2,
      ask: async (member) => (await fetch(running[member]!.url)).text(),
      restartMember: () => running[0]!.restart(),
    };
  });
  afterEach(async () => {
    await Promise.all([...running, ...backends].map((one) => ('stop' in one ? one.stop() : one.close())));
    rmSync(folder, { recursive: true });
  });

  const poolDriver = (more: Readonly<Record<string, unknown>> = {}, transport?: Transport): Balancer =>
    driver(
      {
        socket: running.map(({ socket }) => socket),
        backend: { blue: 'pool_blue', green: 'pool_green' },
        map: { file: map },
        ...more,
      },
      ['web1', 'web2'],
      { web1: 'blue', web2: 'green' },
      transport,
    );

  flipContract(() => lab);

  test('each node is a server of the backend of its pool alone', async () => {
    const { servers } = await lab.balancer.observe();
    const [one, two] = running.map(({ socket }) => socket);
    expect(servers.map(({ server }) => server)).toEqual([
      `lb pool_blue/web1 @${one}`,
      `lb pool_green/web2 @${one}`,
      `lb pool_blue/web1 @${two}`,
      `lb pool_green/web2 @${two}`,
    ]);
  });

  test('a flip writes its entry to the map file, and leaves all others as they are', async () => {
    await lab.balancer.flip('green');
    expect(readFileSync(map, 'utf8')).toBe('# live\nactivity high\nactive pool_green\n');
  });

  test('a flip that shall not be kept is forgotten with the process, and says so beforehand', async () => {
    const balancer = poolDriver({ map: { file: map, keep: false } });
    expect(balancer.capabilities.flip).toBe('forgotten');
    await balancer.flip('green');
    await lab.restartMember();
    expect((await balancer.observe()).members.map(({ pool }) => pool)).toEqual(['blue', 'green']);
  });

  test('over SSH the map file is written on the machine of the balancer, and a reload there keeps the flip', async () => {
    const sshd = await startSshd(folder);
    const known = join(folder, 'known');
    writeFileSync(known, `* ${sshd.hostKeys.ed25519}\n`);
    const ssh = settingsOf({ keys: [sshd.key], knownHosts: [known], user: 'root', port: sshd.port });
    const transport = await createTransport({ ssh, become: null });
    try {
      const balancer = poolDriver({ host: { address: '127.0.0.1', user: 'root' } }, transport);
      expect(balancer.capabilities.flip).toBe('kept');
      await balancer.flip('green');
      expect(transport.counts().commands).toBe(1);
      expect(readFileSync(map, 'utf8')).toBe('# live\nactivity high\nactive pool_green\n');
      await running[0]!.reload();
      expect((await balancer.observe()).members.map(({ pool }) => pool)).toEqual(['green', 'green']);
      expect(await lab.ask(0)).toBe(await lab.ask(1));
      await sshd.stop();
      await expect(balancer.flip('blue')).rejects.toThrow();
      expect(readFileSync(map, 'utf8')).toContain('active pool_green');
    } finally {
      await transport.close();
      await sshd.stop();
    }
  });

  test('a map without the entry is sent nothing, and shows no pool', async () => {
    const balancer = poolDriver({ map: { file: map, key: 'nothing', keep: false } });
    expect((await balancer.observe()).members.map(({ pool }) => pool)).toEqual([null, null]);
    await expect(balancer.flip('green')).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: 'entry not found.' },
    });
  });

  test('a file that cannot be written keeps every member from being told', async () => {
    rmSync(map);
    await expect(lab.balancer.flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
    expect((await lab.balancer.observe()).members.map(({ pool }) => pool)).toEqual(['blue', 'blue']);
  });

  test('without a map there is no flip', async () => {
    const balancer = poolDriver({ map: undefined });
    expect(balancer.capabilities.flip).toBe('none');
    await expect(balancer.flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
  });
});

describe('HAProxy', () => {
  let folder: string;
  let haproxy: RunningHaproxy;
  let backends: readonly Backend[];
  let balancer: Balancer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
    backends = [await startBackend('web1'), await startBackend('web2')];
    const servers = backends.map(({ name, port }) => ({
      name,
      port,
      options: `check inter 50 cookie ${name}`,
    }));
    haproxy = await startHaproxy({
      dir: folder,
      frontendPort: await freePort(),
      socket: join(folder, 'api.sock'),
      frontend: ['use_backend lonely if { path /lonely }'],
      backends: [
        {
          name: 'web',
          lines: ['option httpchk GET /health', 'timeout check 5s', 'cookie STICKY insert indirect nocache'],
          servers,
        },
        {
          name: 'api',
          servers: [
            { name: 'first', port: backends[0]!.port, options: 'disabled' },
            { name: 'second', port: backends[1]!.port, options: 'track web/web2' },
          ],
        },
        {
          name: 'fixed',
          lines: ['balance source'],
          servers: [{ name: 'web1', port: backends[0]!.port, options: 'weight 100' }],
        },
        { name: 'raw', lines: ['mode tcp'], servers: [{ name: 'web1', port: backends[0]!.port }] },
        { name: 'lonely', servers: [{ name: 'web1', port: await freePort() }] },
      ],
    });
    balancer = driver({ socket: haproxy.socket, backend: 'web' });
  });
  afterAll(async () => {
    await haproxy?.stop();
    await Promise.all(backends.map((backend) => backend.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  const send = (command: string) => ask(haproxy.socket, command);
  const oneOf = async (node: string, of = balancer) => ofNode(await of.observe(), node)[0]!;
  const get = async (cookie = '') => fetch(haproxy.url, { headers: { cookie } });

  test('a server of weight 0 is draining, and being put in does not make it serve', async () => {
    await send('set weight web/web1 0');
    expect(await oneOf('web1')).toMatchObject({ rotation: 'draining' });
    await expect(balancer.change([turn('web1', 'in')])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { server: 'lb web/web1', wanted: 'in', seen: 'draining (its weight is 0)' },
    });
    await send('set weight web/web1 100%');
    expect(await oneOf('web1')).toMatchObject({ rotation: 'in' });
  });

  test('a weight that the configured one is too small for is refused, and nothing is changed', async () => {
    const shift = balancer.shift([{ node: 'web1', server: null, to: 25 }]);
    await expect(shift).rejects.toMatchObject({
      code: 'BALANCER_WEIGHT_COARSE',
      details: { server: 'lb web/web1', wanted: 25, configured: 1, nearest: 0 },
    });
    expect(await oneOf('web1')).toMatchObject({ rotation: 'in', weight: 100 });
    await balancer.shift([{ node: 'web1', server: null, to: 0 }]);
    expect(await oneOf('web1')).toMatchObject({ rotation: 'draining', weight: 0 });
    await balancer.shift([{ node: 'web1', server: null, to: 100 }]);
  });

  test('a weight that one member is too coarse for is set on no member', async () => {
    const dir = join(folder, 'fine');
    mkdirSync(dir);
    const servers = [{ name: 'web1', port: backends[0]!.port, options: 'weight 100' }];
    const socket = join(dir, 'api.sock');
    const fine = await startHaproxy({
      dir,
      frontendPort: await freePort(),
      socket,
      backends: [{ name: 'web', servers }],
    });
    const both = driver({ socket: [socket, haproxy.socket], backend: 'web' }, ['web1']);
    await expect(both.shift([{ node: 'web1', server: null, to: 25 }])).rejects.toMatchObject({
      code: 'BALANCER_WEIGHT_COARSE',
      details: { server: `lb web/web1 @${haproxy.socket}` },
    });
    expect((await both.observe()).servers.map(({ weight }) => weight)).toEqual([100, 100]);
    await fine.stop();
  });

  test('of two weights for one server, the one that does not hold is reported', async () => {
    const shift = balancer.shift([
      { node: 'web1', server: null, to: 0 },
      { node: 'web1', server: null, to: 100 },
    ]);
    await expect(shift).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { server: 'lb web/web1', wanted: 'weight 0', seen: 'weight 1' },
    });
  });

  test('a weight that the balancing algorithm does not allow is refused in its own words', async () => {
    const fixed = driver({ socket: haproxy.socket, backend: 'fixed' }, ['web1']);
    await expect(fixed.shift([{ node: 'web1', server: null, to: 50 }])).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: {
        request: 'set server fixed/web1 weight 50%',
        answer: expect.stringContaining("only accepts weights '0%' and '100%'"),
      },
    });
  });

  test('answers of a server in TCP mode are not counted, which is not 0', async () => {
    const { servers } = await driver({ socket: haproxy.socket, backend: 'raw' }, ['web1']).count();
    expect(servers).toMatchObject([{ server: 'lb raw/web1', answers: null }]);
  });

  test('a request that no server took a connection for is an error of the last one, an interim answer is none', async () => {
    const lonely = driver({ socket: haproxy.socket, backend: 'lonely' }, ['web1']);
    expect((await fetch(`${haproxy.url}/lonely`)).status).toBe(503);
    expect((await lonely.count()).servers).toMatchObject([
      { answers: { requests: 1, errors: 1, refused: 0, responseMs: null } },
    ]);
    const before = (await balancer.count()).servers;
    expect((await fetch(`${haproxy.url}/early`)).status).toBe(200);
    const after = (await balancer.count()).servers;
    const requests = (servers: typeof after) =>
      servers.reduce((sum, { answers }) => sum + answers!.requests, 0);
    expect(requests(after) - requests(before)).toBe(1);
  });

  test('a canary that fails every fifth request fails, and one that does not passes', async () => {
    const ask = async (node: string, every: number, times: number) => {
      for (let i = 1; i <= times; i++) {
        const headers = { cookie: `STICKY=${node}` };
        await fetch(`${haproxy.url}/status/${i % every === 0 ? 500 : 200}`, { headers });
      }
    };
    const readings = [await balancer.count()];
    for (const every of [5, Number.POSITIVE_INFINITY]) {
      await ask('web1', every, 40);
      await ask('web2', Number.POSITIVE_INFINITY, 160);
      readings.push(await balancer.count());
    }
    const [before, bad, good] = readings as [Counted, Counted, Counted];
    const options = { ...defaultVerdictOptions, requestsMin: 40 };
    const sides = { canary: ['web1'], others: ['web2'] };
    expect(judge(answeredBetween(before, bad, sides), options)).toMatchObject({
      verdict: 'fail',
      reason: expect.stringMatching(
        /^The canary failed 8 of 40 requests \(20 %\), the other nodes 0 of 160 requests \(0 %\): /,
      ),
    });
    expect(judge(answeredBetween(bad, good, sides), options)).toMatchObject({ verdict: 'pass' });
  });

  test('sticky clients keep coming while a server drains, and go elsewhere once it is out', async () => {
    const first = await get('STICKY=web1');
    expect(await first.text()).toBe('web1');
    await balancer.change([turn('web1', 'draining')]);
    for (let i = 0; i < 5; i++) expect(await (await get('STICKY=web1')).text()).toBe('web1');
    for (let i = 0; i < 5; i++) expect(await (await get()).text()).toBe('web2');
    await balancer.change([turn('web1', 'out')]);
    for (let i = 0; i < 5; i++) expect(await (await get('STICKY=web1')).text()).toBe('web2');
    await balancer.change([turn('web1', 'in')]);
  });

  test('requests that are queued for a server count as sessions', async () => {
    await send('set maxconn server web/web1 1');
    const asked = [1, 2, 3].map(() => fetch(`${haproxy.url}/hold`, { headers: { cookie: 'STICKY=web1' } }));
    try {
      await vi.waitFor(async () => expect(sessions([await oneOf('web1')])).toBe(3), patience);
      expect(backends[0]!.held()).toBe(1);
    } finally {
      const releasing = setInterval(() => backends[0]!.release(), 10);
      for (const answer of await Promise.all(asked)) expect(await answer.text()).toBe('held by web1, whole');
      clearInterval(releasing);
      await send('set maxconn server web/web1 0');
    }
  });

  test('a server that is disabled in the configuration is out until it is put in', async () => {
    const api = driver({
      socket: haproxy.socket,
      backend: 'api',
      servers: { web1: 'first', web2: 'second' },
    });
    expect(await oneOf('web1', api)).toMatchObject({ server: 'lb api/first', rotation: 'out' });
    await api.change([turn('web1', 'in')]);
    expect(await oneOf('web1', api)).toMatchObject({ rotation: 'in', health: 'unchecked' });
  });

  test('a server that tracks another one follows it, which is said when it is not obeyed', async () => {
    const api = driver({
      socket: haproxy.socket,
      backend: 'api',
      servers: { web1: 'first', web2: 'second' },
    });
    await vi.waitFor(
      async () => expect(await oneOf('web2', api)).toMatchObject({ rotation: 'in', health: 'up' }),
      patience,
    );
    await balancer.change([turn('web2', 'out')]);
    expect(await oneOf('web2', api)).toMatchObject({ rotation: 'out' });
    await expect(api.change([turn('web2', 'in')])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { seen: 'out (it follows the server that it tracks)' },
    });
    await balancer.change([turn('web2', 'in')]);
  });

  test('a node is a server in each backend, and all of them are told', async () => {
    const both = driver({ socket: haproxy.socket, backend: ['web', 'api'] }, ['web1']);
    await expect(both.observe()).rejects.toMatchObject({
      details: { server: 'api/web1', known: ['api/first', 'api/second'] },
    });
    expect(both.describe(turn('web1', 'draining'))).toBe(
      'set server web/web1 state drain; set server api/web1 state drain',
    );
  });

  test('a backend that does not exist is an unknown server', async () => {
    const wrong = driver({ socket: haproxy.socket, backend: 'shop' });
    await expect(wrong.observe()).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: {
        server: 'shop/web1',
        known: expect.arrayContaining(['web/web1', 'web/web2', 'api/first', 'api/second']),
      },
    });
  });

  test('more changes than fit into one line are all made', async () => {
    const many = Array.from({ length: 800 }, () => turn('web1', 'out'));
    await balancer.change([...many, turn('web2', 'draining')]);
    expect(rotations((await balancer.observe()).servers)).toEqual(['out', 'draining']);
    await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
  });

  test('a socket that takes connections but does not answer is unreachable once the time is over', async () => {
    const silent = createServer(() => {}).listen(join(folder, 'silent.sock'));
    const { members } = await driver({
      socket: join(folder, 'silent.sock'),
      backend: 'web',
      timeout: '100ms',
    }).observe();
    expect(members).toMatchObject([{ unreachable: 'no answer within 100 ms', incarnation: '' }]);
    silent.close();
  });

  test('whatever answers but is not a runtime API is unreachable', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
      0,
      '127.0.0.1',
    );
    await vi.waitFor(() => expect(other.listening).toBe(true), patience);
    const { port } = other.address() as { port: number };
    const { members } = await driver({ socket: `127.0.0.1:${port}`, backend: 'web' }).observe();
    expect(members[0]!.unreachable).toMatch(/not that of a runtime API: "HTTP/);
    other.close();
  });
});
