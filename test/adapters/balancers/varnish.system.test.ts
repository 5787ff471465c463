import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Host, Transport } from '../../../src/ports.ts';
import {
  type Abilities,
  type Backend,
  type BalancerLab,
  balancerContract,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { patience } from '../../lab/patience.ts';
import { passingVcl, type RunningVarnish, startVarnish } from '../../lab/varnish.ts';

const abilities: Abilities = {
  drain: 'hard',
  sessions: 'exact',
  settleMs: 200,
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'none',
  counters: false,
  checksHealth: true,
  checksWhileOut: true,
};

balancerContract('one Varnish', abilities, (backends) => startContractLab(backends, 1));
balancerContract('a pair of Varnish on machines that are reached through SSH', abilities, (backends) =>
  startContractLab(backends, 2),
);

describe.each(['the VCL in use', 'a label'] as const)('two Varnish with two pools, by %s', (by) => {
  let lab: FlipLab;
  let folder: string;
  let running: readonly RunningVarnish[];
  let backends: readonly Backend[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varnish-'));
    backends = [await startBackend('web1'), await startBackend('web2')];
    running = await Promise.all(
      [1, 2].map((i) =>
        startVarnish(inside(folder, `${i}`), {
          boot: passingVcl([backends[0]!]),
          shop_green: passingVcl([backends[1]!]),
        }),
      ),
    );
    for (const varnish of running) {
      if (by === 'the VCL in use') continue;
      await varnish.admin('vcl.label shop boot');
      await varnish.load('router', 'vcl 4.1; backend nobody none; sub vcl_recv { return (vcl(shop)); }');
      await varnish.admin('vcl.use router');
    }
  });
  beforeEach(async () => {
    const balancer = poolDriver();
    for (const varnish of running)
      await varnish.admin(by === 'a label' ? 'vcl.label shop boot' : 'vcl.use boot');
    await vi.waitFor(async () => {
      for (const { health } of (await balancer.observe()).servers) expect(health).toBe('up');
    }, patience);
    lab = {
      balancer,
      members: 2,
      ask: async (member) => (await fetch(running[member]!.url)).text(),
      restartMember: () => running[0]!.restart(),
    };
  });
  afterAll(async () => {
    await Promise.all([...running, ...backends].map((one) => ('stop' in one ? one.stop() : one.close())));
    rmSync(folder, { recursive: true });
  });

  const poolDriver = (): Balancer =>
    driver(
      {
        members: running.map(settingsOf),
        pools: {
          vcl: { blue: 'boot', green: 'shop_green' },
          ...(by === 'a label' ? { label: 'shop' } : {}),
        },
      },
      { pools: { web1: 'blue', web2: 'green' } },
    );

  test('a node out of rotation is out in the VCL of its pool, whichever gets the traffic', async () => {
    await lab.balancer.change([turn('web2', 'out')]);
    const rotationsOf = async () =>
      (await lab.balancer.observe()).servers.map(({ server, rotation }) => [server, rotation]);
    const [one, two] = running.map(({ port }) => `127.0.0.1:${port}`);
    expect(await rotationsOf()).toEqual([
      [`lb boot.web1 @${one}`, 'in'],
      [`lb shop_green.web2 @${one}`, 'out'],
      [`lb boot.web1 @${two}`, 'in'],
      [`lb shop_green.web2 @${two}`, 'out'],
    ]);
    await lab.balancer.change([turn('web2', 'in')]);
  });

  test('a pool whose VCL is not loaded is refused, and a pool without a VCL too', async () => {
    const of = (vcl: Readonly<Record<string, string>>) =>
      driver({ members: running.map(settingsOf), pools: { vcl } }).flip('green');
    await expect(of({ green: 'nothing' })).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { request: 'vcl.use nothing', answer: '106 No VCL named nothing known' },
    });
    await expect(of({ blue: 'boot' })).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
  });

  // The last one restarts a member, which then knows the first VCL alone.
  if (by === 'the VCL in use') flipContract(() => lab, { isKept: false });
  else
    test('a flip moves the label alone, and may be taken back', async () => {
      await lab.balancer.flip('green');
      expect((await lab.balancer.observe()).members.map(({ pool }) => pool)).toEqual(['green', 'green']);
      expect(await lab.ask(0)).toBe('web2');
      expect(await running[0]!.admin('vcl.list')).toMatch(/^active.* router/m);
      await lab.balancer.flip('blue');
      expect(await lab.ask(1)).toBe('web1');
    });
});

describe('Varnish', () => {
  let folder: string;
  let varnish: RunningVarnish;
  let backends: readonly Backend[];
  let balancer: Balancer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varnish-'));
    backends = [await startBackend('web1'), await startBackend('web2')];
    varnish = await startVarnish(folder, { boot: passingVcl(backends) });
    balancer = driver({ members: [settingsOf(varnish)] });
  });
  afterAll(async () => {
    await varnish?.stop();
    await Promise.all(backends.map((backend) => backend.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  const memberOf = async () => (await balancer.observe()).members[0]!;
  const rotationsOf = async () => (await balancer.observe()).servers.map(({ rotation }) => rotation);

  test('a node that is out stays out in a VCL that was loaded before, and is back in one loaded later', async () => {
    await varnish.load('earlier', passingVcl(backends));
    await balancer.change([turn('web1', 'out')]);
    const first = await memberOf();
    await varnish.admin('vcl.use earlier');
    expect(await rotationsOf()).toEqual(['out', 'in']);
    const second = await memberOf();
    await varnish.load('later', passingVcl(backends));
    expect(await rotationsOf()).toEqual(['out', 'in']);
    await varnish.admin('vcl.use later');
    expect(await rotationsOf()).toEqual(['in', 'in']);
    const third = await memberOf();
    expect(new Set([first, second, third].map(({ incarnation }) => incarnation)).size).toBe(3);
    await varnish.admin('vcl.use boot');
    await balancer.change([turn('web1', 'in')]);
  });

  test('a node that was put back in gets nothing while its probe fails', async () => {
    await balancer.change([turn('web1', 'out')]);
    await balancer.change([turn('web1', 'in')]);
    backends[0]!.setHealthy(false);
    await vi.waitFor(
      async () => expect((await balancer.observe()).servers[0]!.health).toBe('down'),
      patience,
    );
    for (let i = 0; i < 6; i++) expect(await (await fetch(varnish.url)).text()).toBe('web2');
    backends[0]!.setHealthy(true);
    await vi.waitFor(async () => expect((await balancer.observe()).servers[0]!.health).toBe('up'), patience);
  });

  test('a request that runs in a VCL that is no longer in use is counted', async () => {
    await varnish.load('next', passingVcl(backends));
    const slow = fetch(`${varnish.url}/hold`);
    await vi.waitFor(() => expect(backends.reduce((sum, one) => sum + one.held(), 0)).toBe(1), patience);
    await varnish.admin('vcl.use next');
    const sum = async () =>
      (await balancer.observe()).servers.reduce((total, { sessions }) => total + sessions!, 0);
    expect(await sum()).toBe(1);
    for (const backend of backends) backend.release();
    await (await slow).text();
    await vi.waitFor(async () => expect(await sum()).toBe(0), patience);
    await varnish.admin('vcl.use boot');
  });

  test('the probes of a VCL that is cold say nothing of a node', async () => {
    await varnish.load('idle', passingVcl(backends));
    await varnish.admin('vcl.state idle cold');
    const pooled = driver(
      { members: [settingsOf(varnish)], pools: { vcl: { blue: 'boot', green: 'idle' } } },
      { pools: { web1: 'blue', web2: 'green' } },
    );
    const { servers } = await pooled.observe();
    expect(servers.map(({ health }) => health)).toEqual(['up', 'starting']);
  });

  test('a child that was restarted by hand has forgotten, and is another incarnation', async () => {
    await balancer.change([turn('web1', 'out')]);
    const before = await memberOf();
    await varnish.admin('stop');
    expect((await memberOf()).unreachable).toMatch(
      /it answered "backend.list -j \*\.\*" with 101 .*child not running/,
    );
    await varnish.admin('start');
    await vi.waitFor(async () => expect((await memberOf()).unreachable).toBeNull(), patience);
    expect((await memberOf()).incarnation).not.toBe(before.incarnation);
    expect(await rotationsOf()).toEqual(['in', 'in']);
  });

  test('a secret from the settings is the line in the file, and shows nowhere if it is wrong', async () => {
    const { port, instance } = varnish;
    const member = { cli: `127.0.0.1:${port}`, instance };
    const right = driver({ members: [{ ...member, secret: 'a secret' }] });
    expect((await right.observe()).members).toMatchObject([{ unreachable: null }]);
    const wrong = driver({ members: [{ ...member, secret: 'hunter2' }] });
    const { members } = await wrong.observe();
    expect(members[0]!.unreachable).toBe('it answered 500 (the secret is not that of its secret file)');
    const error = await wrong.change([turn('web1', 'out')]).catch((thrown: unknown) => thrown);
    expect(JSON.stringify([members, error, String(error)])).not.toContain('hunter2');
  });

  test('a secret file that is not there, and counters that are not, are said', async () => {
    const { port, secretFile, instance } = varnish;
    const reasonOf = async (more: object) =>
      (await driver({ members: [{ cli: `127.0.0.1:${port}`, ...more }], timeout: '8s' }).observe())
        .members[0]!.unreachable;
    expect(await reasonOf({ secretFile: '/nowhere/secret', instance })).toMatch(
      /^read \/nowhere\/secret: .*No such file/,
    );
    expect(await reasonOf({ secretFile, instance: join(folder, 'nothing') })).toMatch(/^varnishstat: /);
  });

  test('without varnishstat within reach, requests are not counted, which is not 0', async () => {
    const { port, secretFile } = varnish;
    const far = driver({ members: [{ cli: `0.0.0.0:${port}`, secretFile }] });
    expect(far.capabilities.sessions).toBe('none');
    expect((await far.observe()).servers.map(({ sessions }) => sessions)).toEqual([null, null]);
  });

  test('whatever answers but is no Varnish CLI is unreachable, and so is one that says nothing', async () => {
    const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
      0,
      '127.0.0.1',
    );
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await vi.waitFor(() => expect([web.listening, silent.listening]).toEqual([true, true]), patience);
    const reasonAt = async (server: typeof web, timeout: string) => {
      const { port } = server.address() as { port: number };
      const { members } = await driver({ members: [{ cli: `127.0.0.1:${port}` }], timeout }).observe();
      return members[0]!.unreachable;
    };
    expect(await reasonAt(web, '20s')).toMatch(/^what answers is no Varnish CLI: "HTTP/);
    expect(await reasonAt(silent, '100ms')).toBe('no answer within 100 ms');
    web.close();
    silent.close();
  });
});

const settingsOf = ({ port, secretFile, instance }: RunningVarnish) => ({
  cli: `127.0.0.1:${port}`,
  secretFile,
  instance,
});

function driver(
  raw: Readonly<Record<string, unknown>>,
  {
    nodes = ['web1', 'web2'],
    pools = {},
  }: { readonly nodes?: readonly string[]; readonly pools?: Readonly<Record<string, string>> } = {},
): Balancer {
  const kind = balancerKinds.varnish;
  const options = parseFields(kind.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({ name: 'lb', options: options.value, nodes, pools, transport: overSsh });
}

/** Stands for SSH: what it is asked to reach and to run on the machines of the balancer, it does here. */
const overSsh: Transport = {
  ...localTransport({ become: null }),
  connect: (host, to, signal) => localTransport({ become: null }).connect(known(host), to, signal),
  run: (host, command, options) => localTransport({ become: null }).run(known(host), command, options),
};

const known = (host: Host): Host => {
  expect(host).toMatchObject({ address: expect.stringMatching(/^cache[12]\.example\.org$/), user: 'ops' });
  return host;
};

const inside = (folder: string, name: string): string => {
  mkdirSync(join(folder, name));
  return join(folder, name);
};

async function startContractLab(backends: readonly Backend[], count: 1 | 2): Promise<BalancerLab> {
  const folder = mkdtempSync(join(tmpdir(), 'varnish-'));
  const running = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startVarnish(inside(folder, `${i}`), { boot: passingVcl(backends) }),
    ),
  );
  const settings = running.map((varnish, i) => ({
    ...settingsOf(varnish),
    ...(count === 2 ? { host: { address: `cache${i + 1}.example.org`, user: 'ops' } } : {}),
  }));
  const make = (more: object = {}, nodes = ['web1', 'web2']) =>
    driver({ members: settings.map((member) => ({ ...member, ...more })) }, { nodes });
  return {
    balancer: make(),
    urls: running.map(({ url }) => url),
    serverNamed: (name) => name,
    forNodes: (nodes) => make({}, [...nodes]),
    withoutRights: () => make({ secret: 'another' }),
    async takeOutByHand(node) {
      for (const { admin } of running) await admin(`backend.set_health ${node} sick`);
    },
    restartMember: () => running[0]!.restart(),
    stopMember: () => running[0]!.stop(),
    async close() {
      await Promise.all(running.map(({ stop }) => stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
