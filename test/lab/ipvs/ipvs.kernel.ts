import {
  type Abilities,
  type Backend,
  type BalancerLab,
  balancerContract,
} from '../../contracts/balancer.ts';
import { deployUser } from '../nodes.ts';
import { driverOf, type Forwarding, servicePort, startSite } from './lab.ts';
import { type Director, directorTransport, network, onDirector } from './network.ts';

const abilities: Abilities = {
  drain: 'hard',
  sessions: 'estimate',
  settleMs: 500,
  successor: { rotation: 'forgotten', requests: 'counted' },
  weights: 'server',
  counters: false,
  checksHealth: false,
  balances: 'connections',
  lookEveryMs: 100,
};

balancerContract('two directors, by NAT', abilities, (backends) => startLab(backends, { forwarding: 'nat' }));
balancerContract(
  'one director, by direct routing, with a table that is saved',
  { ...abilities, successor: { rotation: 'kept', requests: 'counted' } },
  (backends) => startLab(backends, { forwarding: 'direct', directors: ['lb1'], save: '/run/ipvsadm.rules' }),
);

const flagOf: Readonly<Record<Forwarding, string>> = { nat: '-m', direct: '-g' };

interface LabOptions {
  readonly forwarding: Forwarding;
  readonly directors?: readonly Director[];
  readonly save?: string;
}

async function startLab(
  backends: readonly Backend[],
  { forwarding, directors = ['lb1', 'lb2'], save }: LabOptions,
): Promise<BalancerLab> {
  const site = await startSite(backends, forwarding, ['lb1', 'lb2']);
  const service = `${network.virtual[forwarding]}:${servicePort}`;
  const table = [
    `-A -t ${service} -s wrr`,
    ...Object.values(network.real).map(
      (address) => `-a -t ${service} -r ${address}:${servicePort} ${flagOf[forwarding]} -w 100`,
    ),
  ].join('\n');
  const fill = (rules: string) => `ipvsadm -C; ${rules} | ipvsadm -R; rm -rf /run/sluice`;
  for (const director of directors) await onDirector(director, fill(`echo '${table}'`));
  const transport = await directorTransport();
  const make = (nodes: readonly string[] = ['web1', 'web2'], user: string | null = null) =>
    driverOf(
      'ipvs',
      {
        services: service,
        hosts: directors.map((name) => ({
          address: network.directors[name],
          ...(user === null ? {} : { user }),
        })),
        weight: 100,
        ...(save === undefined ? {} : { save }),
      },
      { nodes, transport },
    );
  const addresses: Readonly<Record<string, string>> = network.real;
  return {
    balancer: make(),
    urls: site.urls.slice(0, directors.length),
    serverNamed: (name) =>
      `tcp ${service}/${addresses[name] === undefined ? name : `${addresses[name]}:${servicePort}`}`,
    forNodes: (nodes) => make(nodes),
    withoutRights: () => make(undefined, deployUser.name),
    async takeOutByHand(node) {
      for (const director of directors)
        await onDirector(
          director,
          `ipvsadm -e -t ${service} -r ${addresses[node]}:${servicePort} ${flagOf[forwarding]} -w 0`,
        );
    },
    async restartMember() {
      await onDirector('lb1', fill(save === undefined ? `echo '${table}'` : `cat ${save}`));
    },
    async stopMember() {
      transport.cut('lb1');
    },
    async close() {
      await transport.close();
      await site.close();
    },
  };
}
