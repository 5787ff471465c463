import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { nginxCapabilities } from '../../../src/adapters/balancers/nginx.ts';
import { createTransport } from '../../../src/adapters/transports/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import {
  type Abilities,
  type Backend,
  type BalancerLab,
  balancerContract,
  ofNode,
  rotations,
  sessions,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { type RunningNginx, startNginx, youngerMs } from '../../lab/nginx.ts';
import { patience } from '../../lab/patience.ts';
import { freePort } from '../../lab/port.ts';
import { settingsOf } from '../transports/settings.ts';
import { startSshd } from '../transports/sshd.ts';

const { flip: _, ...can } = nginxCapabilities;
const abilities: Abilities = { ...can, checksHealth: false };

balancerContract('nginx on this machine', abilities, (backends) => startLab(backends));
balancerContract('nginx on a machine that is reached through SSH', abilities, async (backends) => {
  const folder = makeFolder();
  const sshd = await startSshd(folder);
  writeFileSync(join(folder, 'known'), `* ${sshd.hostKeys.ed25519}\n`);
  const ssh = settingsOf({
    keys: [sshd.key],
    knownHosts: [join(folder, 'known')],
    user: 'root',
    port: sshd.port,
  });
  const transport = await createTransport({ ssh, become: null });
  const lab = await startLab(backends, { transport, host: '127.0.0.1' });
  return {
    ...lab,
    async close() {
      await Promise.all([lab.close(), transport.close(), sshd.stop()]);
      rmSync(folder, { recursive: true });
    },
  };
});

describe('nginx with two pools', () => {
  let folder: string;
  let running: RunningNginx;
  let backends: readonly Backend[];
  let lab: FlipLab;
  beforeEach(async () => {
    folder = makeFolder();
    backends = [await startBackend('web1'), await startBackend('web2')];
    running = await startNginx({
      dir: folder,
      port: await freePort(),
      http: ['server { listen PORT; location / { proxy_pass http://$live; } }'],
      site: [
        'map "" $live { default shop_blue; }',
        ...backends.map(
          ({ name, port }) => `upstream ${upstreams[poolOf[name]!]} { server 127.0.0.1:${port}; }`,
        ),
        '',
      ].join('\n'),
    });
    lab = {
      balancer: poolDriver(),
      members: 1,
      ask: async () => (await fetch(running.url, { headers: { connection: 'close' } })).text(),
      restartMember: () => running.restart(),
    };
  });
  afterEach(async () => {
    await Promise.all([running.stop(), ...backends.map((backend) => backend.close())]);
    rmSync(folder, { recursive: true });
  });
  const poolDriver = (more: Readonly<Record<string, unknown>> = {}): Balancer =>
    driver(running, {
      upstream: upstreams,
      live: 'live',
      servers: addressesOf(backends),
      pools: poolOf,
      ...more,
    });

  flipContract(() => lab);

  test('a flip changes one word of the file', async () => {
    const before = running.read();
    await lab.balancer.flip('green');
    expect(running.read()).toBe(before.replace('default shop_blue', 'default shop_green'));
  });

  test('each node is a server of the upstream of its pool alone', async () => {
    const [one, two] = (await lab.balancer.observe()).servers;
    expect(one).toMatchObject({ node: 'web1', server: `lb shop_blue/127.0.0.1:${backends[0]!.port}` });
    expect(two).toMatchObject({ node: 'web2', server: `lb shop_green/127.0.0.1:${backends[1]!.port}` });
  });

  test.each([
    { of: 'a variable that no map sets', more: { live: 'active' }, answer: /has a default for \$active$/ },
    {
      of: 'an upstream that is not there',
      more: { upstream: { ...upstreams, green: 'nowhere' }, nodes: ['web1'] },
      answer: /has no upstream nowhere$/,
    },
    { of: 'no variable', more: { live: undefined }, answer: 'it has no live' },
  ])('with $of there is no flip', async ({ more, answer }) => {
    const before = running.read();
    const details = { answer: typeof answer === 'string' ? answer : expect.stringMatching(answer) };
    await expect(poolDriver(more).flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED', details });
    expect(running.read()).toBe(before);
  });
});

const poolOf: Readonly<Record<string, 'blue' | 'green'>> = { web1: 'blue', web2: 'green' };
const upstreams = { blue: 'shop_blue', green: 'shop_green' };

describe('nginx', () => {
  let folder: string;
  let running: RunningNginx;
  let backends: readonly Backend[];
  let balancer: Balancer;
  let site: string;
  beforeAll(async () => {
    folder = makeFolder();
    backends = [await startBackend('web1'), await startBackend('web2')];
    site = [
      '# the whole site',
      'server { listen PORT; location / { proxy_pass http://shop; } }',
      'upstream shop { # frontends',
      ...backends.map(({ port }) => `  server 127.0.0.1:${port}; # of the shop`),
      '}\n',
    ].join('\n');
    const port = await freePort();
    site = site.replace('PORT', `127.0.0.1:${port}`);
    running = await startNginx({ dir: folder, port, http: [], site });
    balancer = driver(running, { servers: addressesOf(backends) });
  });
  beforeEach(async () => {
    if (running.read() === site && (await balancer.observe()).members[0]!.unreachable === null) return;
    running.write(site);
    await sleep(100);
    running.reload();
    await running.reloaded();
  });
  afterAll(async () => {
    await Promise.all([running.stop(), ...backends.map((backend) => backend.close())]);
    rmSync(folder, { recursive: true });
  });

  const out = (): Promise<void> => balancer.change([turn('web1', 'out')]);

  test('a node that is taken out and put back leaves the file as it was, and nothing beside it', async () => {
    const files = readdirSync(folder);
    await out();
    expect(running.read()).toBe(site.replace('; # of', ' down; # of'));
    await balancer.change([turn('web1', 'in')]);
    expect(running.read()).toBe(site);
    expect(readdirSync(folder)).toEqual(files);
  });

  test('several changes are one reload, and one that is so already is none', async () => {
    const master = readFileSync(running.pid, 'utf8').trim();
    const workers = () => execFileSync('pgrep', ['-P', master], { encoding: 'utf8' }).trim().split('\n');
    // Those of the test before are gone.
    await expect.poll(workers, patience).toHaveLength(2);
    const before = workers();
    await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
    await balancer.shift([{ node: 'web1', server: null, to: 100 }]);
    expect(workers()).toEqual(before);
  });

  test('once a change is made, workers of before take no request, 8 times of 8', async () => {
    for (let i = 0; i < 8; i++) {
      const [to, answers] = i % 2 === 0 ? (['out', 'web2'] as const) : (['in', ''] as const);
      await balancer.change([turn('web1', to)]);
      for (let n = 0; n < 10 && answers !== ''; n++) expect(await ask(running.url)).toBe(answers);
    }
  });

  test('a file that nginx refuses is put back, and its own words say why', async () => {
    const main = join(folder, 'nginx.conf');
    const good = readFileSync(main, 'utf8');
    writeFileSync(main, `${good}oops;\n`);
    try {
      await expect(out()).rejects.toMatchObject({
        code: 'BALANCER_REFUSED',
        details: { answer: expect.stringContaining('unknown directive "oops"') },
      });
    } finally {
      writeFileSync(main, good);
    }
    expect(running.read()).toBe(site);
    expect(rotations((await balancer.observe()).servers)).toEqual(['in']);
  });

  test('a configuration that passes the test and is not loaded is put back', async () => {
    // The test listens at nothing.
    const taken = await freePort();
    const server = createServer().listen(taken, '127.0.0.1');
    const hasty = driver(running, { servers: addressesOf(backends), timeout: '300ms' });
    const more = `server { listen 127.0.0.1:${taken}; }\n`;
    running.write(site + more);
    // As if it had been loaded: only the reload that follows finds the address taken.
    execFileSync('touch', ['-d', '1 hour ago', running.file]);
    const refused = hasty.change([turn('web1', 'out')]);
    await expect(refused).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringContaining('did not load it within 300 ms') },
    });
    expect(running.read()).toBe(site + more);
    server.close();
  });

  test.each([40, 120, 200, 280])(
    'a change that is cut off after %i ms leaves the file as nginx has it',
    async (afterMs) => {
      const cut = balancer.change([turn('web1', 'out')], AbortSignal.timeout(afterMs));
      await cut.catch(() => {});
      const seen = await vi.waitFor(async () => {
        const { members, servers } = await balancer.observe();
        expect(members).toMatchObject([{ unreachable: null }]);
        return servers[0]!.rotation;
      }, patience);
      await sleep(nginxCapabilities.settleMs);
      const answers = new Set(await Promise.all(Array.from({ length: 20 }, () => ask(running.url))));
      expect(answers.has('web1')).toBe(seen === 'in');
      expect(readdirSync(folder).filter((name) => name.includes('sluice'))).toEqual([]);
    },
  );

  test('a file that was written and not loaded is not believed', async () => {
    running.write(site.replace('; # of', ' down; # of'));
    const unloaded = { unreachable: expect.stringContaining('was written after nginx loaded it') };
    expect((await balancer.observe()).members).toMatchObject([unloaded]);
    await expect(out()).rejects.toMatchObject({ code: 'BALANCER_UNREACHABLE' });
    running.reload();
    await running.reloaded();
    expect((await balancer.observe()).servers).toMatchObject([{ rotation: 'out' }, { rotation: 'in' }]);
  });

  test('a request whose body an old worker still reads is awaited, though no server has it yet', async () => {
    const upload = request(running.url, {
      method: 'POST',
      headers: { 'content-length': '10', expect: '100-continue' },
      agent: false,
    });
    const answered = new Promise<string>((resolve, reject) => {
      upload.once('response', (response) => resolve(text(response)));
      upload.once('error', reject);
    });
    upload.flushHeaders();
    await once(upload, 'continue');
    upload.write('12345');
    await out();
    await sleep(nginxCapabilities.settleMs);
    const sessionsNow = async () => sessions(ofNode(await balancer.observe(), 'web1'));
    const seen: number[] = [];
    await vi.waitFor(async () => {
      seen.push(await sessionsNow());
      expect(seen.at(-1)).toBe(1);
    }, patience);
    expect(Math.min(...seen)).toBe(1);
    upload.end('67890');
    expect(await answered).toMatch(/^web[12]$/);
    await vi.waitFor(async () => expect(await sessionsNow()).toBe(0), patience);
  });

  test('of changes that are made at the same time, none is lost', async () => {
    const other = driver(running, { servers: addressesOf(backends) });
    await Promise.all([
      balancer.change([turn('web1', 'out')]),
      other.shift([{ node: 'web2', server: null, to: 0 }]),
    ]);
    expect(running.read().match(/ down;/g)).toHaveLength(2);
  });

  test('a weight that the configured one is too small for is refused, and the file stays', async () => {
    const shift = balancer.shift([{ node: 'web1', server: null, to: 25 }]);
    await expect(shift).rejects.toMatchObject({ code: 'BALANCER_WEIGHT_COARSE', details: { configured: 1 } });
    expect(running.read()).toBe(site);
  });

  test('a server of weight 0 is out, and being put in does not make it serve', async () => {
    await balancer.shift([{ node: 'web1', server: null, to: 0 }]);
    expect((await balancer.observe()).servers[0]).toMatchObject({ rotation: 'out', weight: 0 });
    await expect(balancer.change([turn('web1', 'in')])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { seen: 'out (its weight is 0)' },
    });
    await balancer.shift([{ node: 'web1', server: null, to: 100 }]);
    expect(running.read()).toBe(site);
  });

  test('an upstream that does not exist is an unknown server, beside those of all others', async () => {
    const wrong = driver(running, { upstream: 'shopp', servers: addressesOf(backends) });
    const address = addressesOf(backends).web1;
    await expect(wrong.observe()).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: { server: `shopp/${address}`, known: expect.arrayContaining([`shop/${address}`]) },
    });
  });

  test.each([
    { file: '/nowhere/site.conf', reason: '/nowhere/site.conf is not there' },
    { pid: '/nowhere/pid', reason: 'nginx does not run (/nowhere/pid names no process)' },
  ])('$reason', async ({ reason, ...more }) => {
    const { members } = await driver({ ...running, ...more }, { servers: addressesOf(backends) }).observe();
    expect(members).toMatchObject([{ unreachable: reason }]);
  });
});

async function ask(url: string): Promise<string> {
  return (await fetch(url, { headers: { connection: 'close' } })).text();
}

const addressesOf = (backends: readonly Backend[]): Readonly<Record<string, string>> =>
  Object.fromEntries(backends.map(({ name, port }) => [name, `127.0.0.1:${port}`]));

/** Where every user may look. */
function makeFolder(): string {
  const folder = mkdtempSync('/run/sluice-nginx-');
  chmodSync(folder, 0o755);
  return folder;
}

function driver(
  running: Pick<RunningNginx, 'file' | 'pid' | 'command'>,
  {
    nodes = ['web1', 'web2'],
    pools = {},
    transport = localTransport({ become: null }),
    ...more
  }: {
    readonly nodes?: readonly string[];
    readonly pools?: Readonly<Record<string, string>>;
    readonly transport?: Transport;
    readonly [option: string]: unknown;
  } = {},
): Balancer {
  const kind = balancerKinds.nginx;
  const { file, pid, command } = running;
  const options = parseFields(kind.options, { file, pid, command, upstream: 'shop', ...more });
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({ name: 'lb', options: options.value, nodes, pools, transport });
}

async function startLab(
  backends: readonly Backend[],
  through: { readonly transport?: Transport; readonly host?: string } = {},
): Promise<BalancerLab> {
  const folder = makeFolder();
  const servers = addressesOf(backends);
  const running = await startNginx({
    dir: folder,
    port: await freePort(),
    http: ['server { listen PORT; location / { proxy_pass http://shop; } }'],
    site: `upstream shop {\n${Object.values(servers)
      .map((server) => `  server ${server} weight=100;\n`)
      .join('')}}\n`,
  });
  const make = (more: Readonly<Record<string, unknown>> = {}) =>
    driver(running, { servers, ...through, ...more });
  return {
    balancer: make(),
    urls: [running.url],
    serverNamed: (name) => `shop/${servers[name] ?? name}`,
    forNodes: (nodes) => make({ nodes }),
    withoutRights: () => make({ become: 'nobody' }),
    async takeOutByHand(node) {
      running.write(running.read().replace(`${servers[node]} `, `${servers[node]} down `));
      await sleep(youngerMs);
      running.reload();
      await running.reloaded();
    },
    restartMember: () => running.restart(),
    stopMember: () => running.stop(),
    async close() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
