import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultLoaders } from 'cosmiconfig';
import { describe, expect, test } from 'vitest';
import { filesConfig } from '../bin/config.ts';
import { simulatedPart } from '../src/cli/commands/simulate.ts';
import { loadSite, loadSiteOrFleet } from '../src/config/load.ts';
import { siteSchema } from '../src/config/schema.ts';
import { assert } from '../src/core/assert.ts';
import type { FleetSite } from '../src/core/fleet.ts';
import { simulate } from '../src/simulator/simulate.ts';
import { simulateFleet } from '../src/simulator/simulate-fleet.ts';
import { sluice } from './cli/fake-environment.ts';
import { accepts } from './config/json-schema.ts';
import { api, registries } from './config/parsing.ts';
import { inFleet } from './engine/fleet-world.ts';
import { nextTurn } from './simulator/seeds.ts';

const folder = new URL('../examples/', import.meta.url).pathname;
const env = { HOME: '/home/ann', SLACK_URL: 'https://hooks.example.org/x', BALANCER_TOKEN: 'sesame' };
/** `ci` has jobs, which hold no site, and a fleet is a site of another kind. */
const examples = readdirSync(folder).filter((name) => name !== 'ci' && name !== 'aws-fleet');

test('there is one for each of these applications', () => {
  expect(examples).toEqual(['django', 'external-balancer', 'plain-php', 'rails', 'seed', 'wordpress']);
});

describe.each(examples)('%s', (example) => {
  const cwd = join(folder, example);

  test('is a config that is good at each stage', async () => {
    const production = await loadSite('production', { cwd, registries, api, env });
    const staging = await loadSite('staging', { cwd, registries, api, env });
    expect([production.stage, staging.stage]).toEqual(['production', 'staging']);
    expect(production.balancers.length).toBeGreaterThan(0);
    expect(production.servingMin).toBeGreaterThan(0);
  });

  test('is what the schema accepts, but for functions', async () => {
    expect(accepts(siteSchema(registries), await written(cwd))).toBe(true);
  });

  test('proves the release before it takes traffic', async () => {
    const { checks } = await loadSite('production', { cwd, registries, api, env });
    expect(checks[0]?.expect).toBe('{{revision}}');
  });

  test('survives twenty simulated lives', async () => {
    const site = await loadSite('production', { cwd, registries, api, env });
    const strategy = await filesConfig({ cwd, env }).strategy(site.strategy);
    const batchMax = Math.max(1, site.nodes.length - site.servingMin);
    for (let seed = 1; seed <= 20; seed++) {
      const life = await simulate({
        seed,
        nextTurn,
        strategy: () => ({ strategy, batchMax }),
        nodes: site.nodes.length,
        site: simulatedPart(site),
      });
      expect(life.broken, `seed ${seed}`).toEqual([]);
    }
  });

  test('has a README that names the page of its check', async () => {
    const { checks } = await loadSite('production', { cwd, registries, api, env });
    const page = checks[0]!.path.replaceAll('/', '');
    expect(readFileSync(join(cwd, 'README.md'), 'utf8')).toContain(page);
  });
});

describe('aws-fleet', () => {
  const cwd = join(folder, 'aws-fleet');
  const textOf = (file: string): string => readFileSync(join(cwd, file), 'utf8');
  const load = async (stage: string): Promise<FleetSite> => {
    const site = await loadSiteOrFleet(stage, { cwd, registries, api, env });
    assert('fleet' in site, 'the config is of a fleet');
    return site;
  };

  test('is a config that is good at each stage', async () => {
    expect(await load('production')).toMatchObject({
      fleet: { options: { group: 'shop-web', replace: 'sluice' } },
      hooks: [{ name: 'migrate', action: { command: ['./migrate.sh'] } }],
      notices: [{ kind: 'slack' }],
    });
    expect(await load('staging')).toMatchObject({ fleet: { servingMin: 1 }, hooks: [], notices: [] });
    expect(accepts(siteSchema(registries), await written(cwd))).toBe(true);
  });

  test('survives twenty simulated lives', async () => {
    const site = { ...(await load('production')), hooks: [] };
    for (let seed = 1; seed <= 20; seed++)
      expect((await simulateFleet({ seed, nextTurn, site })).broken, `seed ${seed}`).toEqual([]);
  });

  test('asks for the rights that the drivers need, which the README lists too', () => {
    const { Statement } = JSON.parse(textOf('policy.json'));
    const actions: readonly string[] = Statement[0].Action;
    const calls = ['auto-scaling', 'images', 'log'].flatMap((driver) => {
      const source = readFileSync(new URL(`../src/adapters/fleets/${driver}.ts`, import.meta.url), 'utf8');
      return [...source.matchAll(/\bclient\.(\w+)\(/g)].map(([, call]) => call!.toLowerCase());
    });
    const named = actions.map((action) => action.split(':')[1]!);
    // Nobody calls these two: one follows an image that is deregistered, the other a launch template that a group uses.
    const implied = ['deletesnapshot', 'runinstances'];
    expect(named.map((name) => name.toLowerCase()).toSorted()).toEqual(
      [...new Set([...calls, ...implied])].toSorted(),
    );
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    expect(named.filter((name) => !readme.includes(name))).toEqual([]);
  });

  test('has a README whose files are there, and whose commands a fleet understands', async () => {
    const readme = textOf('README.md');
    for (const file of ['policy.json', 'migrate.sh'])
      expect([readme.includes(file), textOf(file)]).toBeTruthy();
    const fleet = await load('production');
    const lines = [...readme.matchAll(/^(sluice .*?)(?: +#.*)?$/gm)].map(([, line]) => line!);
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      const told = await inFleet(
        ({ ports }) => sluice(line.replace('sluice ', ''), { fleet, fleetPorts: ports, env: { CI: 'true' } }),
        { loads: true },
      );
      expect(`${line}: ${told.stderr}`).not.toMatch(/nknown|works on nodes|expected/);
    }
  });
});

/** The config as JSON; functions, which have no place in it, are left out. */
async function written(folder: string): Promise<unknown> {
  const file = join(folder, readdirSync(folder).find((name) => name.startsWith('sluice.config'))!);
  const config = file.endsWith('.ts')
    ? (await import(file)).default
    : defaultLoaders['.yaml'](file, readFileSync(file, 'utf8'));
  const plain = (_: string, value: unknown) =>
    Array.isArray(value) ? value.filter((entry) => typeof entry !== 'function') : value;
  return JSON.parse(JSON.stringify(config, plain));
}
