import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { FleetConfig, FleetStageConfig, InstanceConfig } from '../../src/config/fleet-config.ts';
import {
  type FleetSettingsRead,
  fleetSiteFields,
  instanceFields,
  instanceSourceFields,
  replacementFields,
} from '../../src/config/fleet-fields.ts';
import { isFleet, parseFleet } from '../../src/config/fleet-site.ts';
import { siteSchema } from '../../src/config/schema.ts';
import type { Field } from '../../src/core/field.ts';
import { defineFleet } from '../../src/index.ts';
import { accepts } from './json-schema.ts';
import { least, noFiles, registries } from './parsing.ts';

const config: FleetConfig = {
  name: 'shop',
  source: { seed: { instance: 'i-0123456789abcdef0', checks: [{ path: '/up' }] } },
  fleet: { kind: 'aws-auto-scaling', group: 'shop web' },
  stages: { production: { fleet: { surge: 2 } } },
};
const input = {
  stage: 'production',
  file: '/home/ann/shop/sluice.config.ts',
  registries,
  env: { HOME: '/home/ann' },
  readFile: noFiles,
};
const problemsWith = (more: object): readonly string[] => {
  const result = parseFleet({ ...config, ...more }, input);
  return result.ok ? [] : result.problems;
};

test('a config with fleet, at the site or at a stage, is of a fleet', () => {
  expect(isFleet(config, input)).toBe(true);
  const { fleet, ...rest } = config;
  expect(isFleet({ ...rest, stages: { production: { fleet } } }, input)).toBe(true);
  expect(isFleet(least, input)).toBe(false);
});

test('what is left out has its default, and a check is asked straight', () => {
  const result = parseFleet(config, input);
  expect(result).toMatchObject({
    ok: true,
    value: {
      name: 'shop',
      stage: 'production',
      ref: 'newest',
      seed: { instance: 'i-0123456789abcdef0', reboot: true, timeoutMs: 3_600_000 },
      fleet: {
        kind: 'aws-auto-scaling',
        options: { group: 'shop web', replace: 'sluice', timeout: 5000 },
        servingMin: '100%',
        surge: 2,
        patienceMs: 900_000,
      },
      onFailure: 'rollback',
    },
  });
  expect(result.ok && result.value.seed.checks[0]).toMatchObject({ path: '/up', port: 80, via: 'direct' });
});

const beanstalk = (more: object) => ({
  fleet: { kind: 'aws-beanstalk', application: 'shop', ...more },
  stages: { production: {} },
});

test.each([
  [{ nodes: ['web1'] }, 'nodes: a fleet has no such setting: fleet says where its machines are'],
  [
    { migrate: { expand: 'x' } },
    "migrate: a fleet has no such setting: bring the database on by hooks['before",
  ],
  [{ nodez: ['web1'] }, 'nodez: unknown setting'],
  [
    { hooks: { 'before:deploy': [{ run: 'x' }] } },
    'hooks["before:deploy"][0].on: expected \'operator\', for sluice logs in to no machine',
  ],
  [
    { hooks: { 'before:deploy': [{ run: 'x', on: 'operator', once: true }] } },
    'hooks["before:deploy"][0].once: only a hook with',
  ],
  [
    { hooks: { failed: [{ use: 'smoke-test' }] } },
    "hooks.failed[0].use: expected 'webhook' or 'slack', got ",
  ],
  [{ hooks: { 'after:drain': [] } }, 'hooks["after:drain"]: a fleet has only before:deploy, after:deploy, '],
  [{ notices: [{ to: 'slack' }] }, 'notices[0].url'],
  [{ onFailure: 'halt' }, "onFailure: expected 'rollback' or 'hold', got "],
  [{ fleet: { kind: 'aws-auto-scaling' } }, 'fleet.group'],
  [{ fleet: { kind: 'gcp' } }, 'fleet.kind'],
  [
    { checks: [{ path: '/', expect: '{{release}}' }] },
    'checks[0]: expected a check that names no {{release}}',
  ],
  [{ checks: [{ path: '/', via: 'ssh' }] }, 'checks[0].via'],
  [{ source: { seed: { instance: 'web1' } } }, "source.seed.instance: expected an instance such as 'i-0abc"],
  [
    beanstalk({ environment: ['shop-blue', 'shop-green'] }),
    'fleet.cname: expected the name that visitors use',
  ],
  [
    beanstalk({ environment: ['shop-a', 'shop-b', 'shop-c'] }),
    'fleet.environment: expected one or two, got 3',
  ],
  [
    beanstalk({ environment: 'shop-web', surge: 2 }),
    'fleet.surge: expected nothing, for AWS says how many machines are new at a time, got 2',
  ],
  [
    beanstalk({ environment: ['shop-a', 'shop-b'], cname: 'shop.example.org', servingMin: 3 }),
    "fleet.servingMin: expected '100%' or nothing",
  ],
])('%j is refused', (more, problem) => {
  expect(problemsWith(more).join('\n')).toContain(problem);
});

test('hooks and notices are those of a site of nodes, by name and by kind', () => {
  const result = parseFleet(
    {
      ...config,
      hooks: {
        failed: [{ use: 'slack', url: 'https://hooks.example.org/x', name: 'call' }],
        'before:deploy': [{ run: ['./migrate.sh'], on: 'operator', timeout: '1m' }],
      },
      notices: [{ to: 'webhook', url: 'https://hooks.example.org/y', on: ['hold'], timeout: '2s' }],
    },
    input,
  );
  expect(result.ok && result.value.hooks).toMatchObject([
    {
      name: 'before:deploy[0]',
      point: 'before:deploy',
      action: { kind: 'operator', command: ['./migrate.sh'], timeoutMs: 60_000 },
    },
    { name: 'call', point: 'failed', action: { kind: 'function' } },
  ]);
  expect(result.ok && result.value.notices).toMatchObject([
    { kind: 'webhook', on: ['hold'], timeoutMs: 2000 },
  ]);
});

test('the command line says onFailure over the config, and is what is wrong with it', () => {
  const read = (onFailure: string) => parseFleet(config, { ...input, overrides: { onFailure } });
  expect(read('hold')).toMatchObject({ ok: true, value: { onFailure: 'hold' } });
  expect(read('halt')).toMatchObject({
    problems: ["--on-failure: expected 'rollback' or 'hold', got \"halt\""],
  });
});

test('a surge of nothing would never begin', () => {
  const problems = problemsWith({ stages: { production: { fleet: { surge: '0%' } } } });
  expect(problems.join('\n')).toContain('fleet.surge: expected more than none');
});

test('the schema accepts a fleet, and what a stage adds to it', () => {
  expect(accepts(siteSchema(registries), config as never)).toBe(true);
});

describe('the types', () => {
  test('have exactly the settings of the fields', () => {
    expectTypeOf<keyof FleetStageConfig | 'name' | 'stages'>().toEqualTypeOf<keyof FleetSettingsRead>();
    expectTypeOf<keyof InstanceConfig>().toEqualTypeOf<keyof typeof instanceFields>();
    expect(defineFleet(config)).toBe(config);
  });

  test('bear the sentences of the fields', () => {
    const source = readFileSync(new URL('../../src/config/fleet-config.ts', import.meta.url), 'utf8');
    const text = source.replace(/\n\s*\*(?!\/)/g, '').replace(/\s+/g, ' ');
    const groups = [fleetSiteFields(registries), instanceFields, instanceSourceFields, replacementFields];
    const sentences = groups.flatMap((group) =>
      Object.values<Field<unknown>>(group).map(({ summary }) => summary),
    );
    expect(sentences.filter((sentence) => !text.includes(`/** ${sentence} */`))).toEqual([]);
  });
});
