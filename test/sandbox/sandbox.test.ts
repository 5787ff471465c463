import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createTransport } from '../../src/adapters/transports/index.ts';
import { loadSite } from '../../src/config/load.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Site } from '../../src/core/site.ts';
import { watchRotation } from '../../src/sandbox/rotation-watch.ts';
import { freePort, type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { api, registries } from '../config/parsing.ts';

let dir: string;
let sandbox: Sandbox | null = null;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-sandbox-'));
});

afterEach(async () => {
  await sandbox?.close();
  sandbox = null;
  await rm(dir, { recursive: true });
});

test('no port is given to two nodes, though none listens there yet', async () => {
  const ports = await Promise.all(Array.from({ length: 500 }, freePort));
  expect(new Set(ports).size).toBe(ports.length);
});

describe('a sandbox', () => {
  test('has a config that loads, with a node for each SSH server', async () => {
    sandbox = await startSandbox({ dir, nodes: 3 });
    const site = await siteOf(sandbox);
    expect(site).toMatchObject({ name: 'shop', stage: 'sandbox', deployTo: '/srv/shop', servingMin: 2 });
    expect(site.nodes.map(({ name }) => name)).toEqual(['web1', 'web2', 'web3']);
    expect(sandbox.config).toBe(await readFile(join(dir, 'sluice.config.ts'), 'utf8'));
  });

  test('is readable for its owner alone', async () => {
    sandbox = await startSandbox({ dir, nodes: 1 });
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const file of ['id_ed25519', 'balancer.token'])
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
  });

  test('gives each node a site directory of its own under the same name', async () => {
    sandbox = await startSandbox({ dir, nodes: 2 });
    const site = await siteOf(sandbox);
    const transport = await createTransport(site);
    try {
      for (const node of site.nodes) await transport.run(node, command(`echo ${node.name} > /srv/shop/name`));
      const [first, second] = site.nodes;
      expect(await transport.run(first!, command('cat /srv/shop/name'))).toMatchObject({ stdout: 'web1\n' });
      expect(await transport.run(second!, command('cat /srv/shop/name'))).toMatchObject({ stdout: 'web2\n' });
      const listed = await transport.run(
        second!,
        command('cd /srv/shop && pwd -P && echo /srv/shop >&2; exit 3'),
      );
      expect(listed).toEqual({ status: 3, stdout: '/srv/shop\n', stderr: '/srv/shop\n' });
    } finally {
      await transport.close();
    }
  });

  test('has a balancer that sends no traffic to nodes on which nothing runs yet', async () => {
    sandbox = await startSandbox({ dir, nodes: 2 });
    const watch = watchRotation(sandbox.adminUrl, sandbox.token);
    const answer = await fetch(sandbox.url);
    expect(answer.status).toBe(503);
    expect(await watch.stop()).toMatchObject({ servingMin: 0, outMs: { web1: 0, web2: 0 } });
  });

  test('is not made in a folder that holds something, which stays as it was', async () => {
    await writeFile(join(dir, 'letter'), '');
    await chmod(dir, 0o755);
    await expect(startSandbox({ dir, nodes: 1 })).rejects.toThrow(`${dir} is not empty`);
    expect(await readdir(dir)).toEqual(['letter']);
    expect((await stat(dir)).mode & 0o777).toBe(0o755);
  });

  test('is not made in a folder whose path a shell would change', async () => {
    await expect(startSandbox({ dir: join(dir, 'a b'), nodes: 1 })).rejects.toThrow(
      'whose path no shell changes',
    );
    expect(await readdir(dir)).toEqual([]);
  });
});

test('watching the rotation counts how long each server was out, and the fewest that served', async () => {
  const atMs: number[] = [];
  const server = createServer((_, response) => {
    const look = atMs.push(performance.now());
    const web1 = { name: 'web1', rotation: 'in', health: 'up', weight: 100 };
    const web2 = { ...web1, name: 'web2', rotation: look >= 4 && look <= 10 ? 'draining' : 'in' };
    response.end(JSON.stringify({ servers: [web1, web2] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const watch = watchRotation(`http://127.0.0.1:${port}`, new Secret('any'));
  await expect.poll(() => atMs.length).toBeGreaterThan(10);
  const { servingMin, outMs, looks } = await watch.stop();
  expect({ servingMin, looks, web1: outMs.web1 }).toEqual({ servingMin: 1, looks: atMs.length, web1: 0 });
  // Each look is made between its request and the next one.
  expect(outMs.web2).toBeGreaterThanOrEqual(atMs[9]! - atMs[3]!);
  expect(outMs.web2).toBeLessThanOrEqual(atMs[10]! - atMs[2]!);
});

const siteOf = (made: Sandbox): Promise<Site> =>
  loadSite('sandbox', { cwd: made.dir, registries, api, env: {} });

const command = (script: string) => ({
  name: 'test',
  params: {},
  summary: 'a test',
  script,
  parse: () => undefined,
  timeoutMs: 5000,
});
