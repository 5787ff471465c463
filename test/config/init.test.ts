import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ApplicationName, applications } from '../../src/config/application.ts';
import { initConfig, writeConfig } from '../../src/config/init.ts';
import { loadSite } from '../../src/config/load.ts';
import { registries } from './parsing.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-init-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const load = (stage: string) => loadSite(stage, { cwd: folder, registries, env: { HOME: folder } });
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

  test('runs what changes the database once for the fleet', async () => {
    writeFileSync(join(folder, 'sluice.config.ts'), initConfig({ ...input, format: 'ts' }));
    const { hooks } = await load('production');
    expect(hooks.map(({ name }) => name)).toEqual(Object.keys(applications[application].once));
    for (const { action } of hooks) expect(action).toMatchObject({ kind: 'nodes', once: true });
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
  expect(site.source.url).toBe('https://git.example.org/x.git');
  expect(site.linkedDirs).toEqual(['wp-content/uploads']);
  expect(site.name).toMatch(/^sluice-init-/);
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
