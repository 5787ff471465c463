import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer } from '../../../src/ports.ts';
import {
  type Backend,
  type BalancerLab,
  balancerContract,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { type Dataplane, type DataplaneOptions, startDataplane } from '../../lab/dataplane.ts';
import { ask, type RunningHaproxy, startHaproxy } from '../../lab/haproxy.ts';
import { freePort } from '../../lab/port.ts';
import { abilitiesOf, checking } from './haproxy-lab.ts';

const [password, wrong] = ['correct horse', 'battery staple'];

balancerContract('HAProxy, over a Data Plane API v2', { ...abilitiesOf(), weights: 'none' }, (backends) =>
  startLab(backends, { count: 1, version: '2.9' }),
);
balancerContract('two HAProxy, over Data Plane APIs v3.4', abilitiesOf(), (backends) =>
  startLab(backends, { count: 2, version: '3.4' }),
);

for (const version of ['2.9', '3.0'] as const)
  describe(`two pools, over a Data Plane API ${version}`, () => {
    let folder: string;
    let map: string;
    let web: readonly Backend[];
    let haproxy: RunningHaproxy;
    let api: Dataplane;
    let lab: FlipLab;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'dataplane-'));
      map = join(folder, 'site.map');
      writeFileSync(map, 'active pool_blue\n');
      web = [await startBackend('web1'), await startBackend('web2')];
      haproxy = await startHaproxy({
        dir: folder,
        socket: join(folder, 'api.sock'),
        frontendPort: await freePort(),
        frontend: [`use_backend %[str(active),map(${map})]`],
        backends: [
          { name: 'pool_blue', servers: [{ name: 'web1', port: web[0]!.port }] },
          { name: 'pool_green', servers: [{ name: 'web2', port: web[1]!.port }] },
        ],
      });
      api = await startDataplane({ socket: haproxy.socket, version, password, maps: [map] });
      lab = {
        balancer: poolDriver(),
        members: 1,
        ask: async () => (await fetch(haproxy.url)).text(),
        restartMember: () => haproxy.restart(),
      };
    });
    afterEach(async () => {
      await Promise.all([haproxy.stop(), api.close(), ...web.map((backend) => backend.close())]);
      rmSync(folder, { recursive: true });
    });

    const poolDriver = (settings: Readonly<Record<string, unknown>> = {}) =>
      driver(
        {
          url: api.url,
          version,
          backend: { blue: 'pool_blue', green: 'pool_green' },
          map: { name: 'site.map', ...settings },
        },
        ['web1', 'web2'],
        { web1: 'blue', web2: 'green' },
      );

    flipContract(() => lab);

    test('a flip that shall not be kept leaves the file as it is, and says so beforehand', async () => {
      const balancer = poolDriver({ keep: false });
      expect(balancer.capabilities.flip).toBe('forgotten');
      await balancer.flip('green');
      expect(await lab.ask(0)).toBe('web2');
      expect(readFileSync(map, 'utf8')).toBe('active pool_blue\n');
    });

    test('a map that the API does not know shows no pool, and refuses', async () => {
      const balancer = poolDriver({ name: 'other.map' });
      expect((await balancer.observe()).members).toMatchObject([{ unreachable: null, pool: null }]);
      await expect(balancer.flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
    });

    test('weights are refused before anything is asked', async () => {
      await expect(poolDriver().shift([{ node: 'web1', server: null, to: 50 }])).rejects.toMatchObject({
        code: 'BALANCER_REFUSED',
      });
      expect(api.questions).toEqual([]);
    });

    test('the password stands in no failure', async () => {
      const intruder = driver({ url: api.url, version, backend: 'pool_blue', password: wrong }, ['web1']);
      const { members } = await intruder.observe();
      expect(members).toMatchObject([{ unreachable: expect.stringMatching(/^it answered 401/) }]);
      const refused = await intruder.change([turn('web1', 'out')]).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'BALANCER_REFUSED' });
      const login = Buffer.from(`ops:${wrong}`).toString('base64');
      for (const secret of [wrong, login])
        expect(JSON.stringify(refused) + String((refused as Error).stack)).not.toContain(secret);
    });
  });

test('a weight that one member is too coarse for is set on no member', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dataplane-'));
  const members = await Promise.all(
    [100, 1].map(async (weight) => {
      const dir = join(folder, String(weight));
      mkdirSync(dir);
      const servers = [{ name: 'web1', port: await freePort(), options: `weight ${weight}` }];
      const haproxy = await startHaproxy({
        dir,
        socket: join(dir, 'api.sock'),
        frontendPort: await freePort(),
        backends: [{ name: 'web', servers }],
      });
      return {
        haproxy,
        api: await startDataplane({ socket: haproxy.socket, version: '3.4', password }),
      };
    }),
  );
  const url = members.map(({ api }) => api.url);
  const both = driver({ url, version: '3.4', backend: 'web' }, ['web1']);
  await expect(both.shift([{ node: 'web1', server: null, to: 25 }])).rejects.toMatchObject({
    code: 'BALANCER_WEIGHT_COARSE',
    details: { server: `lb web/web1 @${url[1]}` },
  });
  expect((await both.observe()).servers.map(({ weight }) => weight)).toEqual([100, 100]);
  await Promise.all(members.flatMap(({ haproxy, api }) => [haproxy.stop(), api.close()]));
  rmSync(folder, { recursive: true });
});

test('whatever answers but is no Data Plane API is unreachable', async () => {
  const other = createServer((request, response) => {
    response.end(request.url!.endsWith('/info') ? '{"info":{"pid":7,"uptime":1}}' : '<html>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const { members } = await driver({ url: `http://127.0.0.1:${port}`, backend: 'web' }).observe();
  expect(members[0]!.unreachable).toBe('its answer is not that of a Data Plane API: 200 <html>');
  other.close();
});

function driver(
  raw: Readonly<Record<string, unknown>>,
  nodes: readonly string[] = ['web1', 'web2'],
  pools: Readonly<Record<string, string>> = {},
): Balancer {
  const kind = balancerKinds['haproxy-dataplane'];
  const options = parseFields(kind.options, { user: 'ops', password, ...raw });
  if (!options.ok) throw new Error(options.problems.join('\n'));
  const transport = localTransport({ become: null });
  return kind.create({ name: 'lb', options: options.value, nodes, pools, transport });
}

async function startLab(
  backends: readonly Backend[],
  { count, version }: Pick<DataplaneOptions, 'version'> & { readonly count: number },
): Promise<BalancerLab> {
  const folder = mkdtempSync(join(tmpdir(), 'dataplane-'));
  const members = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const dir = join(folder, String(i));
      mkdirSync(dir);
      const haproxy = await startHaproxy({
        dir,
        socket: join(dir, 'api.sock'),
        frontendPort: await freePort(),
        backends: [
          {
            name: 'web',
            lines: checking,
            servers: backends.map(({ name, port }) => ({ name, port })),
          },
        ],
      });
      return { haproxy, api: await startDataplane({ socket: haproxy.socket, version, password }) };
    }),
  );
  const url = members.map(({ api }) => api.url);
  const settings = { url, version, backend: 'web' };
  return {
    balancer: driver(settings),
    urls: members.map(({ haproxy }) => haproxy.url),
    serverNamed: (name) => `web/${name}`,
    forNodes: (nodes) => driver(settings, nodes),
    withoutRights: () => driver({ ...settings, password: wrong }),
    async takeOutByHand(node) {
      for (const { haproxy } of members) await ask(haproxy.socket, `disable server web/${node}`);
    },
    restartMember: () => members[0]!.haproxy.restart(),
    stopMember: () => members[0]!.haproxy.stop(),
    async close() {
      await Promise.all(members.flatMap(({ haproxy, api }) => [haproxy.stop(), api.close()]));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
