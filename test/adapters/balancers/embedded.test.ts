import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import { startBalancer } from '../../../src/sandbox/balancer.ts';
import { type Backend, type BalancerLab, balancerContract } from '../../contracts/balancer.ts';

balancerContract('the embedded balancer', startLab);

async function startLab(backends: readonly Backend[]): Promise<BalancerLab> {
  const token = new Secret('open sesame');
  const start = (ports: { port?: number; adminPort?: number } = {}) =>
    startBalancer({
      ...ports,
      token,
      servers: backends.map(({ name, port }) => ({ name, host: '127.0.0.1', port })),
      check: { path: '/health', intervalMs: 40, rise: 1, fall: 1 },
    });
  let running = await start();
  const { url, adminUrl } = running;
  const ports = { port: Number(new URL(url).port), adminPort: Number(new URL(adminUrl).port) };
  const balancer = driver({ url: adminUrl, token }, ['web1', 'web2']);
  return {
    balancer,
    urls: [url],
    serverNamed: (name) => name,
    forNodes: (nodes) => driver({ url: adminUrl, token }, nodes),
    withoutRights: () => driver({ url: adminUrl, token: 'guessed' }, ['web1', 'web2']),
    async takeOutByHand(node) {
      await fetch(`${adminUrl}/servers`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token.reveal()}` },
        body: JSON.stringify({ [node]: { rotation: 'out' } }),
      });
    },
    async restartMember() {
      await running.close();
      running = await start(ports);
    },
    stopMember: () => running.close(),
    close: () => running.close(),
  };
}

export function driver(raw: Readonly<Record<string, unknown>>, nodes: readonly string[]): Balancer {
  const kind = balancerKinds.embedded;
  const options = parseFields(kind.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({
    name: 'front',
    options: options.value,
    nodes,
    transport: null as unknown as Transport,
  });
}
