import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadSite } from '../../src/config/load.ts';
import { failure } from '../../src/core/errors.ts';
import { inventoryKind } from '../../src/core/inventory.ts';
import type { Site } from '../../src/core/site.ts';
import { api, least, registries } from './parsing.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-lists-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const { nodes: _, ...rest } = least;

/** A site with such settings, where the command, whatever it is, lists what stands in the settings themselves. */
async function loaded(settings: object): Promise<Site> {
  writeFileSync(join(folder, 'sluice.config.json'), JSON.stringify({ ...rest, ...settings }));
  const command = inventoryKind<{ readonly run: string }>({
    ...registries.inventories.command!,
    create: ({ run }, { directory }) => ({
      shown: `the list in ${directory === folder ? 'the folder of the config' : directory}`,
      list: async (withinMs) => {
        if (withinMs === 7000) throw failure('NODES_UNLISTED', { list: 'it', reason: 'it took too long' });
        return JSON.parse(run);
      },
    }),
  });
  const all = { ...registries, inventories: { ...registries.inventories, command } };
  return loadSite('production', { cwd: folder, registries: all, api, env: { HOME: folder } });
}

/** A list of these nodes. */
const list = (nodes: unknown, more: object = {}) => ({
  from: 'command',
  run: JSON.stringify(nodes),
  ...more,
});

const refusal = (settings: object): Promise<string> =>
  loaded(settings).then(
    () => 'it was taken',
    (error: Error) => error.message,
  );

describe('listed nodes', () => {
  test('are nodes like those that a person writes, and the site says whose list they are of', async () => {
    const site = await loaded({
      nodes: list(['web[1:2]', { name: 'web3', address: '10.0.0.3', port: 2222 }]),
    });
    expect(site.nodes.map(({ name, address, port }) => [name, address, port])).toEqual([
      ['web1', 'web1', null],
      ['web2', 'web2', null],
      ['web3', '10.0.0.3', 2222],
    ]);
    expect(site.lists).toEqual([{ shown: 'the list in the folder of the config', nodes: 2 }]);
    expect(site.servingMin).toBe(2);
  });

  test('may stand beside others, and beside those that are written', async () => {
    const nodes = [
      list(['a1'], { pool: 'blue' }),
      { name: 'web9', pool: 'green' },
      list(['b1'], { pool: 'green' }),
    ];
    const site = await loaded({ nodes });
    expect(site.nodes.map(({ name, pool }) => `${name} ${pool}`)).toEqual([
      'a1 blue',
      'web9 green',
      'b1 green',
    ]);
    expect(site.lists).toHaveLength(2);
  });

  test('have what holds for all of them, where they do not say otherwise', async () => {
    const common = { user: 'deploy', port: 2200, roles: ['web'], traffic: false };
    const { nodes } = await loaded({
      nodes: list(['web1', { name: 'web2', user: 'ann', port: 22, roles: ['cron'], traffic: true }], common),
    });
    expect(nodes).toMatchObject([
      { user: 'deploy', port: 2200, roles: ['web'], traffic: false },
      { user: 'ann', port: 22, roles: ['web', 'cron'], traffic: true },
    ]);
  });

  test('are named, pooled and given roles by labels, where the config says so', async () => {
    const of = (id: string, labels: object) => ({ name: id, address: '10.0.0.1', labels });
    const fromLabels = { name: 'Name', pool: 'Colour', roles: 'Does' };
    const { nodes } = await loaded({
      nodes: list(
        [
          of('i-1', { Name: 'web1', Colour: 'blue', Does: 'web, cron' }),
          { ...of('i-2', { Name: 'web2' }), address: '10.0.0.2' },
        ],
        { fromLabels, pool: 'green' },
      ),
    });
    expect(nodes).toMatchObject([
      { name: 'web1', pool: 'blue', roles: ['web', 'cron'] },
      { name: 'web2', pool: 'green', roles: [] },
    ]);
  });

  test('of a stage take the place of others, of the same kind or another', async () => {
    const stages = { production: { nodes: { from: 'command', run: '["p1"]' } } };
    expect((await loaded({ nodes: { from: 'ansible', inventory: 'hosts' }, stages })).nodes[0]?.name).toBe(
      'p1',
    );
    const more = { nodes: list(['x'], { user: 'deploy' }), stages };
    expect((await loaded(more)).nodes).toMatchObject([{ name: 'p1', user: 'deploy' }]);
  });
});

describe('is refused', () => {
  test.each([
    [
      list([]),
      'The list of nodes could not be read from the list in the folder of the config: it lists no node.',
    ],
    [list(['web1'], { within: '7s' }), 'The list of nodes could not be read from it: it took too long.'],
    [
      list(['web1', { name: 'web2', address: '-oProxyCommand=x' }]),
      'nodes[1]: expected a host name or an IP address, got "-oProxyCommand=x" (from the list in the folder of the config)',
    ],
    [
      list([{ name: 'web1', user: '--help' }]),
      'nodes[0].user: expected a user name, got "--help" (from the list in the folder of the config)',
    ],
    [
      list([{ name: 'web1', adress: 'x' }]),
      'nodes[0].adress: unknown setting; did you mean address? (from the list in the folder of the config)',
    ],
    [list([7]), "nodes[0]: expected a host name such as 'web[01:20].example.org', or an object, got 7 (from"],
    [[list(['web1']), list(['web1'])], 'nodes[1]: web1 is the name of nodes[0] too'],
    [
      list([{ name: 'i-1' }], { fromLabels: { name: 'Name' } }),
      'nodes[0]: expected a label Name, which is to name the node, got none (from',
    ],
    [
      list([{ name: 'web1', roles: 'web' }]),
      'nodes[0].roles: expected a list, each entry a text, got "web" (from',
    ],
    [
      { from: 'comand', run: 'x' },
      "nodes.from: expected 'auto-scaling-group' or 'target-group' or 'tags' or 'ansible' or 'command', got \"comand\"; did you mean command?",
    ],
    [['web1', { from: 'command' }], 'nodes[1].run: expected a command'],
    [{ from: 'tags', tags: {} }, 'nodes.tags: expected an object'],
    [{ from: 'command', run: 'x', group: 'y' }, 'nodes.group: unknown setting'],
  ])('%j, by its place', async (nodes, message) => {
    expect(await refusal({ nodes })).toContain(message);
  });

  test('a list that a balancer of the site itself makes shorter', async () => {
    const arn = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123';
    const command = inventoryTargets(arn);
    const balancers = { lb: { kind: 'aws', targetGroup: ['other', 'web'] } };
    writeFileSync(
      join(folder, 'sluice.config.json'),
      JSON.stringify({ ...rest, nodes: { from: 'target-group', targetGroup: arn }, balancers }),
    );
    const all = { ...registries, inventories: { ...registries.inventories, 'target-group': command } };
    await expect(
      loadSite('production', { cwd: folder, registries: all, api, env: { HOME: folder } }),
    ).rejects.toThrow(
      /nodes\.targetGroup: balancer lb takes nodes out of arn.*by tags or by their Auto Scaling group/,
    );
  });
});

const inventoryTargets = (arn: string) =>
  inventoryKind({
    ...registries.inventories['target-group']!,
    create: () => ({ shown: arn, list: async () => ['10.0.0.1', '10.0.0.2'] }),
  });
