import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ApplicationName, applications } from '../../src/config/application.ts';
import { initConfig, writeConfig } from '../../src/config/init.ts';
import { loadSite, loadSiteOrFleet } from '../../src/config/load.ts';
import { api, registries } from './parsing.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-init-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const load = (stage: string) => loadSite(stage, { cwd: folder, registries, api, env: { HOME: folder } });
const names = Object.keys(applications) as ApplicationName[];

describe.each(names)('the config for %s', (application) => {
  const input = { application, name: 'shop', git: 'git@git.example.org:shop.git' };

  test('is good at each stage', async () => {
    writeFileSync(join(folder, 'sluice.config.ts'), initConfig({ ...input, format: 'ts' }));
    const site = await load('production');
    expect(site.nodes.map(({ name }) => name)).toEqual(['web1', 'web2', 'web3', 'web4']);
    expect(site.linkedFiles).toEqual(applications[application].linkedFiles);
    expect((await load('staging')).nodes).toHaveLength(1);
  });

  test('is the same site in YAML', async () => {
    writeFileSync(join(folder, 'sluice.config.ts'), initConfig({ ...input, format: 'ts' }));
    const site = await load('production');
    rmSync(join(folder, 'sluice.config.ts'));
    writeFileSync(join(folder, 'sluice.config.yaml'), initConfig({ ...input, format: 'yaml' }));
    expect(await load('production')).toEqual(site);
  });

  test('runs what changes the database, and what follows, once for the fleet; the cron on one node', async () => {
    writeFileSync(join(folder, 'sluice.config.ts'), initConfig({ ...input, format: 'ts' }));
    const { hooks, cron, nodes, maintenance } = await load('production');
    const { migrate, after, cron: jobs, maintenance: why } = applications[application];
    expect(hooks.map(({ name, point }) => `${point} ${name}`)).toEqual([
      ...(migrate ? ['after:prepare expand'] : []),
      ...Object.keys(after).map((name) => `after:deploy ${name}`),
    ]);
    for (const { action } of hooks) expect(action).toMatchObject({ kind: 'nodes', once: true });
    expect(maintenance?.when).toBe(why ? 'always' : undefined);
    expect(cron?.jobs.map(({ schedule }) => schedule) ?? []).toEqual(Object.keys(jobs));
    expect(nodes.every(({ roles }) => roles.includes('cron'))).toBe(cron !== null);
  });
});

test('the config is written for the application in the folder, with its remote and name', async () => {
  mkdirSync(join(folder, '.git'));
  writeFileSync(
    join(folder, '.git/config'),
    '[core]\n\tbare = false\n[remote "origin"]\n\turl = https://git.example.org/x.git\n',
  );
  mkdirSync(join(folder, 'wp-includes'));
  expect(writeConfig({ cwd: folder })).toEqual({
    file: join(folder, 'sluice.config.ts'),
    application: 'wordpress',
  });
  const site = await load('production');
  expect(site.source).toMatchObject({ url: 'https://git.example.org/x.git' });
  expect(site.linkedDirs).toEqual(['wp-content/uploads']);
  expect(site.name).toMatch(/^sluice-init-/);
});

test('an application may be named, and one that nobody knows is refused with the nearest', async () => {
  expect(writeConfig({ cwd: folder, wanted: 'magento' }).application).toBe('magento');
  expect((await load('production')).maintenance).toEqual({ when: 'always', commands: null });
  rmSync(join(folder, 'sluice.config.ts'));
  expect(() => writeConfig({ cwd: folder, wanted: 'wordpres' })).toThrow('did you mean wordpress?');
});

test.each(['magento', 'moodle'] as const)(
  'the migration of %s closes the way back only where the database must change',
  (application) => {
    const { irreversible } = applications[application].migrate;
    const says = (status: number) =>
      spawnSync('sh', ['-c', irreversible.replace(/^[^>]+/, `(exit ${status}) `)]).status;
    expect([says(0), says(1), says(2)]).toEqual([1, 1, 0]);
  },
);

test('a fleet has a config of its own, which is asked for by name', async () => {
  expect(writeConfig({ cwd: folder, wanted: 'aws-fleet' }).application).toBe('aws-fleet');
  const fleet = await loadSiteOrFleet('production', { cwd: folder, registries, api, env: { HOME: folder } });
  expect(fleet).toMatchObject({
    stage: 'production',
    fleet: { kind: 'aws-auto-scaling', options: { group: `${basename(folder)}-web` }, surge: '50%' },
    seed: { checks: [{ path: '/' }] },
    checks: [{ host: 'www.example.org' }],
  });
});

test('a folder of no known application gets the config for plain PHP', async () => {
  expect(writeConfig({ cwd: folder }).application).toBeNull();
  expect((await load('staging')).linkedFiles).toEqual(['.env']);
});

test('a config that is there is never replaced', () => {
  writeFileSync(join(folder, 'sluice.config.yaml'), 'name: mine\n');
  expect(() => writeConfig({ cwd: folder })).toThrow(`${folder}/sluice.config.yaml is there already`);
  expect(readFileSync(join(folder, 'sluice.config.yaml'), 'utf8')).toBe('name: mine\n');
});
