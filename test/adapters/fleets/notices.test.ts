import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createFleetPorts } from '../../../bin/ports.ts';
import { parseFleet } from '../../../src/config/fleet-site.ts';
import type { Event } from '../../../src/core/event.ts';
import type { FleetSite } from '../../../src/core/fleet.ts';
import { deployFleet, goOnWithFleet, rollbackFleet } from '../../../src/engine/fleet.ts';
import { noFiles, registries } from '../../config/parsing.ts';
import { inFleet } from '../../engine/fleet-world.ts';
import { fleetSite } from './fleet-site.ts';

const signal = new AbortController().signal;

/** A receiver on loopback, with what it was told. */
async function receiver(): Promise<{ readonly url: string; readonly told: unknown[] }> {
  const told: unknown[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    told.push(JSON.parse(body));
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sesame`, told };
}

const noticesOf = (notices: readonly object[]): FleetSite['notices'] => {
  const config = {
    name: 'shop',
    source: { seed: { instance: 'i-0123456789abcdef0' } },
    fleet: { kind: 'aws-auto-scaling', group: 'web', region: 'eu-west-1' },
    notices,
    stages: { production: {} },
  };
  const input = { stage: 'production', file: '/sluice.config.ts', registries, readFile: noFiles };
  const site = parseFleet(config, { ...input, env: { HOME: '/home/ann' } });
  if (!site.ok) throw new Error(site.problems.join('\n'));
  return site.value.notices;
};

/** Ports of the real world, to which the events of a simulated group go. */
const openPorts = (notices: FleetSite['notices'], emit: (event: Event) => void) =>
  createFleetPorts(
    fleetSite({
      notices,
      fleet: { ...fleetSite().fleet, kind: 'aws-auto-scaling', options: { group: 'web', replace: 'sluice' } },
    }),
    { emit, env: {} },
  );

test('a deploy, a rollback, a run that is held and its abort are told, each once, from start to end', async () => {
  const { url, told } = await receiver();
  const real = await openPorts(noticesOf([{ to: 'webhook', url }]), () => {});
  await inFleet(async ({ ports }) => {
    const own = { ...ports, emit: real.emit };
    const request = { site: fleetSite(), signal, confirm: async () => true };
    await deployFleet({ ...request, ref: null }, own);
    await rollbackFleet({ ...request, to: null }, own);
    const action = { kind: 'operator', command: ['fail'], timeoutMs: 1000 } as const;
    const hooks = [{ name: 'migrate', point: 'before:deploy', action }] as const;
    await deployFleet({ ...request, ref: null, site: fleetSite({ hooks, onFailure: 'hold' }) }, own);
    await deployFleet({ ...request, ref: null }, own);
    await goOnWithFleet({ ...request, command: 'abort', force: false }, own);
    await deployFleet({ ...request, ref: null, site: fleetSite({ hooks }) }, own);
    const stop = new AbortController();
    const last = deployFleet({ ...request, ref: null, signal: stop.signal }, own);
    await ports.clock.sleep(10_000);
    stop.abort('SIGINT');
    await last;
  });
  await real.close();
  expect(told).toMatchObject(
    [
      ['start', 'deploy'],
      ['success', 'deploy'],
      ['start', 'rollback'],
      ['success', 'rollback'],
      ['start', 'deploy'],
      ['hold', 'deploy'],
      ['start', 'abort'],
      ['success', 'abort'],
      ['start', 'deploy'],
      ['rollback', 'deploy'],
      ['start', 'deploy'],
      ['failure', 'deploy'],
    ].map(([moment, command]) => ({ moment, command, site: 'shop', stage: 'production' })),
  );
});

test('marks bear the image, and a receiver that is gone is a warning without its address', async () => {
  const { url, told } = await receiver();
  const events: Event[] = [];
  const gone = 'http://127.0.0.1:1/sesame-open';
  const real = await openPorts(
    noticesOf([
      { to: 'grafana', url, token: 't0ken' },
      { to: 'new-relic', url, key: 'k3y', entity: 'e' },
      { to: 'sentry', url, token: 't0ken', organization: 'o', projects: ['p'] },
      { to: 'slack', url: gone, on: ['success'] },
    ]),
    (event) => events.push(event),
  );
  const image = await inFleet(async ({ ports, world }) => {
    const own = { ...ports, emit: real.emit };
    await deployFleet({ site: fleetSite(), signal, confirm: async () => true, ref: null }, own);
    return world.state().place.image;
  });
  await real.close();
  const deployment = { version: image, user: 'ann@laptop' };
  expect(told).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ tags: ['sluice', 'deploy', 'shop', 'production', 'success'] }),
      expect.objectContaining({ variables: { deployment: expect.objectContaining(deployment) } }),
      expect.objectContaining({ version: image, projects: ['p'] }),
      expect.objectContaining({ environment: 'production', name: image }),
    ]),
  );
  expect(JSON.stringify(told)).not.toContain('"commit"');
  const warnings = events.flatMap((event) =>
    event.type === 'note' && event.level === 'warning' ? [event.text] : [],
  );
  expect(warnings).toEqual([expect.stringMatching(/^The notice to slack was not taken: /)]);
  expect(warnings.join()).not.toContain('sesame-open');
  const echo = await real.operator.run(['echo', gone], { env: {}, timeoutMs: 5000 });
  expect(echo.stdout).toBe('[secret]\n');
});
