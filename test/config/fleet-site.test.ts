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

test.each([
  [{ nodes: ['web1'] }, 'nodes: unknown setting'],
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
    { fleet: { kind: 'aws-beanstalk', application: 'shop', environment: ['shop-blue', 'shop-green'] } },
    'fleet.cname: expected the name that visitors use',
  ],
  [
    { fleet: { kind: 'aws-beanstalk', application: 'shop', environment: ['shop-a', 'shop-b', 'shop-c'] } },
    'fleet.environment: expected one or two, got 3',
  ],
])('%j is refused', (more, problem) => {
  expect(problemsWith(more).join('\n')).toContain(problem);
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
