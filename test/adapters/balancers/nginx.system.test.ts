import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { nginxCapabilities } from '../../../src/adapters/balancers/nginx.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import {
  type Abilities,
  type Backend,
  type BalancerLab,
  balancerContract,
} from '../../contracts/balancer.ts';
import { freePort } from '../../lab/haproxy.ts';
import { type RunningNginx, startNginx } from '../../lab/nginx.ts';

const { flip: _, ...can } = nginxCapabilities;
const abilities: Abilities = { ...can, checksHealth: false };

balancerContract('nginx on this machine', abilities, (backends) => startLab(backends));

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

async function startLab(backends: readonly Backend[]): Promise<BalancerLab> {
  // Where every user may look.
  const folder = mkdtempSync('/run/sluice-nginx-');
  chmodSync(folder, 0o755);
  const running = await startNginx({
    dir: folder,
    port: await freePort(),
    http: ['server { listen PORT; location / { proxy_pass http://shop; proxy_set_header Host shop; } }'],
    site: [
      'upstream shop {',
      ...backends.map(({ port }) => `  server 127.0.0.1:${port} weight=100;`),
      '}\n',
    ].join('\n'),
  });
  const servers = Object.fromEntries(backends.map(({ name, port }) => [name, `127.0.0.1:${port}`]));
  const make = (more: Readonly<Record<string, unknown>> = {}) => driver(running, { servers, ...more });
  return {
    balancer: make(),
    urls: [running.url],
    serverNamed: (name) => `shop/${servers[name] ?? name}`,
    forNodes: (nodes) => make({ nodes }),
    withoutRights: () => make({ become: 'nobody' }),
    async takeOutByHand(node) {
      running.write(running.read().replace(`${servers[node]} `, `${servers[node]} down `));
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
