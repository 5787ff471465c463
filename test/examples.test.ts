import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultLoaders } from 'cosmiconfig';
import { describe, expect, test } from 'vitest';
import { filesConfig } from '../bin/config.ts';
import { simulatedPart } from '../src/cli/commands/simulate.ts';
import { loadSite } from '../src/config/load.ts';
import { siteSchema } from '../src/config/schema.ts';
import { simulate } from '../src/simulator/simulate.ts';
import { accepts } from './config/json-schema.ts';
import { registries } from './config/parsing.ts';
import { nextTurn } from './simulator/seeds.ts';

const folder = new URL('../examples/', import.meta.url).pathname;
const env = { HOME: '/home/ann', SLACK_URL: 'https://hooks.example.org/x', BALANCER_TOKEN: 'sesame' };
/** `ci` has jobs, which hold no site. */
const examples = readdirSync(folder).filter((name) => name !== 'ci');

test('there is one for each of these applications', () => {
  expect(examples).toEqual(['django', 'external-balancer', 'plain-php', 'rails', 'seed', 'wordpress']);
});

describe.each(examples)('%s', (example) => {
  const cwd = join(folder, example);

  test('is a config that is good at each stage', async () => {
    const production = await loadSite('production', { cwd, registries, env });
    const staging = await loadSite('staging', { cwd, registries, env });
    expect([production.stage, staging.stage]).toEqual(['production', 'staging']);
    expect(production.balancers.length).toBeGreaterThan(0);
    expect(production.servingMin).toBeGreaterThan(0);
  });

  test('is what the schema accepts, but for functions', async () => {
    expect(accepts(siteSchema(registries), await written(cwd))).toBe(true);
  });

  test('proves the release before it takes traffic', async () => {
    const { checks } = await loadSite('production', { cwd, registries, env });
    expect(checks[0]?.expect).toBe('{{revision}}');
  });

  test('survives twenty simulated lives', async () => {
    const site = await loadSite('production', { cwd, registries, env });
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
    const { checks } = await loadSite('production', { cwd, registries, env });
    const page = checks[0]!.path.replaceAll('/', '');
    expect(readFileSync(join(cwd, 'README.md'), 'utf8')).toContain(page);
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
