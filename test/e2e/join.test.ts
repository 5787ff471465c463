import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabNode } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
});
afterAll(() => lab?.stop());

/** What the command that lists the nodes of the site prints from now on. */
async function list(site: LabSite, nodes: readonly LabNode[]): Promise<void> {
  const file = join(site.folder, 'nodes.json');
  await writeFile(`${file}.new`, JSON.stringify(nodes.map(({ name, address }) => ({ name, address }))));
  await rename(`${file}.new`, file);
}

/** What a node answers whenever the balancer sends it requests. */
function watchServing(site: LabSite, node: LabNode) {
  const seen = new Set<string>();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      if ((await site.rotation())[node.name]?.startsWith('UP'))
        seen.add((await site.ask(node))?.body.trim() ?? 'nothing');
      await sleep(20);
    }
  })();
  return {
    async stop(): Promise<readonly string[]> {
      isOver = true;
      await watching;
      return [...seen];
    },
  };
}

test('a node that a command lists only once the deploy is under way gets traffic with the new release alone', async () => {
  const site = await lab.site({
    name: 'join',
    nodes: 4,
    settings: { nodes: { from: 'command', run: ['./list'], roles: ['web'] } },
  });
  const late = site.node('web4');
  await writeFile(join(site.folder, 'list'), '#!/bin/sh\ncat nodes.json\n');
  await chmod(join(site.folder, 'list'), 0o755);
  await list(site, []);
  const empty = await site.sluice('status', 'production');
  expect(empty).toMatchObject({ exit: 2, stdout: '' });
  expect(empty.stderr).toContain(
    'The list of nodes could not be read from the command ./list: it lists no node.',
  );

  await list(site, site.nodes.slice(0, 3));
  expect((await site.deploy('good-1')).exit).toBe(0);
  expect(await site.current(late)).toBeNull();
  const checked = await site.sluice('check', 'production');
  expect(checked.stdout).toContain('Nodes come from the command ./list (3 nodes).');

  const [traffic, serving] = [await clients(site.balancer!, { slow: 2 }), watchServing(site, late)];
  const run = site.startDeploy('good-2');
  await run.printed(/web1/);
  await list(site, site.nodes);
  const { exit, output } = await run.ended;
  await sleep(500);
  const [report, answers] = [await traffic.stop(), await serving.stop()];

  expect(exit, output).toBe(0);
  expect(output).toContain('web4 joined meanwhile');
  const release = await site.release();
  expect(await site.served()).toMatchObject({ web1: release, web4: release });
  expect(Object.values(await site.rotation())).toEqual(['UP', 'UP', 'UP', 'UP']);
  expect(answers).toEqual([expect.stringContaining(`release ${release} `)]);
  expect(report).toMatchObject({ failed: 0, truncated: 0 });
  expect(await site.locked()).toEqual([]);
});
