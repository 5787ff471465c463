import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Balancer } from '../../../src/ports.ts';
import { type Backend, ofNode, startBackend, turn } from '../../contracts/balancer.ts';
import { driverOf, type Site, servicePort, startSite } from './lab.ts';
import { machineTransport, network, onMachine } from './network.ts';

const service = `${network.virtual.nat}:${servicePort}`;
const config = '/run/ldirectord.cf';
const patience = { timeout: 20_000, interval: 100 };

let site: Site;
let backends: readonly Backend[];
let balancer: Balancer;

beforeAll(async () => {
  backends = [await startBackend('web1'), await startBackend('web2')];
  site = await startSite(backends, 'nat');
  onMachine(
    'lb1',
    `ipvsadm -C; mkdir -p /run/maintenance; ${written(configText())}; ldirectord ${config} start`,
  );
  balancer = driverFor(['web1', 'web2']);
});
afterAll(async () => {
  onMachine('lb1', `ldirectord ${config} stop`);
  await site.close();
  await Promise.all(backends.map((backend) => backend.close()));
});
beforeEach(async () => {
  await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
  await vi.waitFor(async () => expect(await seen()).toEqual({ web1: 'in up', web2: 'in up' }), patience);
});

const configText = (quiescent = 'yes'): string => `checkinterval = 1
checktimeout = 3
negotiatetimeout = 3
quiescent = ${quiescent}
readdquiescent = yes
cleanstop = no
maintenancedir = /run/maintenance
logfile = "/run/ldirectord.log"
virtual = ${service}
\treal = ${network.real.web1}:${servicePort} masq 100
\treal = ${network.real.web2}:${servicePort} masq 100
\tservice = http
\tchecktype = negotiate
\trequest = "health"
\tscheduler = wrr
\tprotocol = tcp
`;

const written = (text: string, file = config): string => `printf %s '${text}' > ${file}`;

const driverFor = (nodes: readonly string[], settings: Readonly<Record<string, unknown>> = {}): Balancer =>
  driverOf(
    'ldirectord',
    { services: service, hosts: 'lb1', config, timeout: '15s', ...settings },
    { nodes, transport: machineTransport() },
  );

const stateOf = async (node: string) => ofNode(await balancer.observe(), node)[0]!;

async function seen(): Promise<Readonly<Record<string, string>>> {
  const { servers } = await balancer.observe();
  return Object.fromEntries(servers.map(({ node, rotation, health }) => [node, `${rotation} ${health}`]));
}

const ask = (path = ''): Promise<Response> =>
  fetch(`${site.urls[0]}${path}`, { headers: { connection: 'close' } });

async function whoAnswers(): Promise<readonly string[]> {
  const answers = await Promise.all(Array.from({ length: 8 }, async () => (await ask()).text()));
  return [...new Set(answers)].sort();
}

test('a node that is taken out gets no new request, the one in flight ends whole, and a reload changes neither', async () => {
  const slow = ask('/hold');
  const [web1, web2] = backends as [Backend, Backend];
  await vi.waitFor(() => expect(web1.held() + web2.held()).toBe(1), patience);
  const [busy, idle] = web1.held() > 0 ? [web1, web2] : [web2, web1];
  await balancer.change([turn(busy.name, 'out')]);
  expect(await stateOf(busy.name)).toMatchObject({ rotation: 'out', health: 'unchecked' });
  expect(await whoAnswers()).toEqual([idle.name]);
  expect((await stateOf(busy.name)).sessions).toBe(1);
  const before = (await balancer.observe()).members;
  onMachine('lb1', `ldirectord ${config} reload`);
  await sleep(2500);
  expect((await balancer.observe()).members).toEqual(before);
  expect(await whoAnswers()).toEqual([idle.name]);
  expect((await stateOf(busy.name)).sessions).toBe(1);
  busy.release();
  expect(await (await slow).text()).toBe(`held by ${busy.name}, whole`);
  await vi.waitFor(async () => expect((await stateOf(busy.name)).sessions).toBe(0), patience);
  await balancer.change([turn(busy.name, 'in')]);
  await vi.waitFor(async () => expect(await whoAnswers()).toEqual(['web1', 'web2']), patience);
});

test('a node whose checks fail is in rotation, and down', async () => {
  backends[0]!.setHealthy(false);
  try {
    await vi.waitFor(async () => expect(await seen()).toEqual({ web1: 'in down', web2: 'in up' }), patience);
  } finally {
    backends[0]!.setHealthy(true);
  }
});

test('what an operator took out by the address alone is out, and is not put in by another file', async () => {
  onMachine('lb1', `: > /run/maintenance/${network.real.web1}`);
  try {
    await vi.waitFor(
      async () => expect(await seen()).toEqual({ web1: 'out unchecked', web2: 'in up' }),
      patience,
    );
    await expect(balancer.change([turn('web1', 'in')])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { wanted: 'in', seen: `out (of the maintenance file ${network.real.web1})` },
    });
  } finally {
    onMachine('lb1', `rm /run/maintenance/${network.real.web1}`);
  }
});

test('a server that ldirectord does not know is named, with those that it has', async () => {
  await expect(driverFor(['web1', 'web9']).observe()).rejects.toMatchObject({
    code: 'BALANCER_SERVER_UNKNOWN',
    details: {
      server: `tcp ${service}/web9`,
      known: Object.values(network.real).map((address) => `tcp ${service}/${address}:${servicePort}`),
    },
  });
});

test('an ldirectord that would cut connections is refused, and told nothing', async () => {
  onMachine(
    'lb1',
    written(configText('no'), '/run/ldirectord.cf.no') +
      `; cp ${config} ${config}.yes; cp ${config}.no ${config}`,
  );
  try {
    const unfit = {
      code: 'BALANCER_UNFIT',
      details: { member: 'lb1', reason: expect.stringContaining('cuts') },
    };
    await expect(balancer.observe()).rejects.toMatchObject(unfit);
    await expect(balancer.change([turn('web1', 'out')])).rejects.toMatchObject(unfit);
    expect(onMachine('lb1', 'ls /run/maintenance')).toBe('');
  } finally {
    onMachine('lb1', `cp ${config}.yes ${config}`);
  }
});

test('one that does not run is unreachable', async () => {
  onMachine('lb1', `ldirectord ${config} stop`);
  await vi.waitFor(async () => {
    const [member] = (await balancer.observe()).members;
    expect(member).toMatchObject({ unreachable: 'ldirectord does not run', incarnation: '' });
  }, patience);
  await expect(balancer.change([turn('web1', 'out')])).rejects.toMatchObject({
    code: 'BALANCER_UNREACHABLE',
  });
});
