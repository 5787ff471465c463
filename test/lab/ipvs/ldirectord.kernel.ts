import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type Abilities,
  type Backend,
  type BalancerLab,
  balancerContract,
  ofNode,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { deployUser } from '../nodes.ts';
import { driverOf, servicePort, startSite } from './lab.ts';
import { directorTransport, network, onDirector } from './network.ts';

const abilities: Abilities = {
  drain: 'hard',
  sessions: 'estimate',
  settleMs: 500,
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'none',
  counters: false,
  checksHealth: true,
  balances: 'connections',
  // Its files stay, and it has `readdquiescent = yes`.
  staysOut: true,
  lookEveryMs: 250,
};

const service = `${network.virtual.nat}:${servicePort}`;
const config = '/run/ldirectord.cf';

balancerContract('a director with ldirectord', abilities, startLab);

async function startLab(backends: readonly Backend[]): Promise<BalancerLab> {
  const site = await startSite(backends, 'nat', ['lb1']);
  await onDirector(
    'lb1',
    `ipvsadm -C; mkdir -p /run/maintenance; ${written(configText())}; ldirectord ${config} start`,
  );
  const transport = await directorTransport();
  const make = (nodes: readonly string[] = ['web1', 'web2'], login: { readonly user?: string } = {}) =>
    driverOf(
      'ldirectord',
      {
        services: service,
        hosts: { address: network.directors.lb1, ...login },
        config,
        timeout: '15s',
      },
      { nodes, transport },
    );
  const addresses: Readonly<Record<string, string>> = network.real;
  return {
    balancer: make(),
    urls: site.urls.slice(0, 1),
    serverNamed: (name) =>
      `tcp ${service}/${addresses[name] === undefined ? name : `${addresses[name]}:${servicePort}`}`,
    forNodes: (nodes) => make(nodes),
    withoutRights: () => make(undefined, { user: deployUser.name }),
    async takeOutByHand(node) {
      const server = `${addresses[node]}:${servicePort}`;
      const isObeyed = `ipvsadm -S -n | grep -q 'r ${server} .*-w 0$'`;
      await onDirector('lb1', `: > /run/maintenance/${server}; until ${isObeyed}; do sleep 0.2; done`);
    },
    async restartMember() {
      await onDirector('lb1', `ldirectord ${config} restart`);
    },
    async stopMember() {
      await onDirector('lb1', `ldirectord ${config} stop`);
    },
    async close() {
      await onDirector('lb1', `rm -f /run/maintenance/*; ldirectord ${config} stop || :`);
      await transport.close();
      await site.close();
    },
  };
}

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

describe('ldirectord', () => {
  let lab: BalancerLab;
  let backends: readonly Backend[];

  beforeAll(async () => {
    backends = [await startBackend('web1'), await startBackend('web2')];
    lab = await startLab(backends);
  });
  afterAll(async () => {
    await lab.close();
    await Promise.all(backends.map((backend) => backend.close()));
  });
  beforeEach(async () => {
    await lab.balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
    await vi.waitFor(async () => expect(await seen()).toEqual({ web1: 'in up', web2: 'in up' }), patience);
  });

  const patience = { timeout: 60_000, interval: 250 };
  const stateOf = async (node: string) => ofNode(await lab.balancer.observe(), node)[0]!;

  async function seen(): Promise<Readonly<Record<string, string>>> {
    const { servers } = await lab.balancer.observe();
    return Object.fromEntries(servers.map(({ node, rotation, health }) => [node, `${rotation} ${health}`]));
  }

  const ask = (path = ''): Promise<Response> =>
    fetch(`${lab.urls[0]}${path}`, { headers: { connection: 'close' } });

  async function whoAnswers(): Promise<readonly string[]> {
    const answers = await Promise.all(Array.from({ length: 8 }, async () => (await ask()).text()));
    return [...new Set(answers)].sort();
  }

  test('a node that is taken out gets no new request, the one in flight ends whole, and a reload changes neither', async () => {
    const slow = ask('/hold');
    const [web1, web2] = backends as [Backend, Backend];
    await vi.waitFor(() => expect(web1.held() + web2.held()).toBe(1), patience);
    const [busy, idle] = web1.held() > 0 ? [web1, web2] : [web2, web1];
    await lab.balancer.change([turn(busy.name, 'out')]);
    expect(await stateOf(busy.name)).toMatchObject({ rotation: 'out', health: 'unchecked' });
    expect(await whoAnswers()).toEqual([idle.name]);
    expect((await stateOf(busy.name)).sessions).toBe(1);
    const before = (await lab.balancer.observe()).members;
    await onDirector('lb1', `ldirectord ${config} reload`);
    await sleep(2500);
    expect((await lab.balancer.observe()).members).toEqual(before);
    expect(await whoAnswers()).toEqual([idle.name]);
    expect((await stateOf(busy.name)).sessions).toBe(1);
    busy.release();
    expect(await (await slow).text()).toBe(`held by ${busy.name}, whole`);
    await vi.waitFor(async () => expect((await stateOf(busy.name)).sessions).toBe(0), patience);
    await lab.balancer.change([turn(busy.name, 'in')]);
    await vi.waitFor(async () => expect(await whoAnswers()).toEqual(['web1', 'web2']), patience);
  });

  test('what an operator took out by the address alone is out, and is not put in by another file', async () => {
    await onDirector('lb1', `: > /run/maintenance/${network.real.web1}`);
    try {
      await vi.waitFor(
        async () => expect(await seen()).toEqual({ web1: 'out unchecked', web2: 'in up' }),
        patience,
      );
      await expect(lab.balancer.change([turn('web1', 'in')])).rejects.toMatchObject({
        code: 'BALANCER_NOT_APPLIED',
        details: { wanted: 'in', seen: `out (of the maintenance file ${network.real.web1})` },
      });
    } finally {
      await onDirector('lb1', `rm /run/maintenance/${network.real.web1}`);
    }
  });

  test('an ldirectord that would cut connections is refused, and told nothing', async () => {
    await onDirector(
      'lb1',
      written(configText('no'), '/run/ldirectord.cf.no') +
        `; cp ${config} ${config}.yes; cp ${config}.no ${config}`,
    );
    try {
      const unfit = {
        code: 'BALANCER_UNFIT',
        details: { member: network.directors.lb1, reason: expect.stringContaining('cuts') },
      };
      await expect(lab.balancer.observe()).rejects.toMatchObject(unfit);
      await expect(lab.balancer.change([turn('web1', 'out')])).rejects.toMatchObject(unfit);
      expect(await onDirector('lb1', 'ls /run/maintenance')).toBe('');
    } finally {
      await onDirector('lb1', `cp ${config}.yes ${config}`);
    }
  });
});
