import { describe, expect, test } from 'vitest';
import { siteSchema } from '../../src/config/schema.ts';
import type { JsonSchema } from '../../src/core/field.ts';
import { accepts, isObject, keywords } from './json-schema.ts';
import { haproxy, least, registries } from './parsing.ts';

const schema = siteSchema(registries);

test('uses only keywords that this test knows', () => {
  const found = new Set<string>();
  const visit = (node: JsonSchema) => {
    for (const [keyword, rule] of Object.entries(node)) {
      found.add(keyword);
      if (keyword === 'properties') Object.values(rule as Record<string, JsonSchema>).forEach(visit);
      if (['items', 'additionalProperties', 'propertyNames'].includes(keyword) && isObject(rule)) visit(rule);
      if (keyword === 'anyOf') (rule as JsonSchema[]).forEach(visit);
    }
  };
  visit(schema);
  expect([...found].filter((keyword) => !(keyword in keywords))).toEqual([]);
});

describe('the schema accepts', () => {
  test.each([
    [least],
    [{ $schema: './sluice.schema.json', ...least }],
    [{ name: 'shop', stages: { production: { nodes: ['web1'], source: { ref: 'x' } } } }],
    [
      {
        ...least,
        balancers: { lb: haproxy },
        stages: { production: { balancers: { lb: { backend: 'blue' } } } },
      },
    ],
    [
      {
        ...least,
        strategy: { name: 'rolling', batch: [1, '30%'] },
        servingMin: '75%',
        ssh: { config: false },
      },
    ],
    [{ ...least, source: { git: 'x', build: ['make', ['npm', 'ci']], env: { A: { env: 'A' }, B: 'b' } } }],
    [
      {
        ...least,
        hooks: {
          'after:activate': [
            { run: 'x', once: true },
            { use: 'slack', url: { env: 'URL' } },
          ],
        },
      },
    ],
    [{ ...least, checks: [{ path: '/up', expect: '{{release}}', interval: '1s' }] }],
    [{ ...least, nodes: ['web[1:4]', { name: 'a', roles: ['app'], labels: { rack: '4' } }] }],
  ])('%j', (config) => {
    expect(accepts(schema, config)).toBe(true);
  });
});

describe('the schema refuses', () => {
  test.each([
    [{}],
    [{ ...least, stages: {} }],
    [{ ...least, nmae: 'x' }],
    [{ ...least, stages: { production: { name: 'x' } } }],
    [{ ...least, stages: { production: { drain: { tmeout: '1s' } } } }],
    [{ ...least, drain: { timeout: 5 } }],
    [{ ...least, deployTo: 'srv' }],
    [{ ...least, keepReleases: 1 }],
    [{ ...least, balancers: { lb: { kind: 'nginks' } } }],
    [{ ...least, strategy: 'roling' }],
    [{ ...least, checks: [{}] }],
    [{ ...least, hooks: { 'before:nothing': [] } }],
    [{ ...least, hooks: { failed: [{ on: 'nodes' }] } }],
    [{ ...least, servingMin: '120%' }],
  ])('%j', (config) => {
    expect(accepts(schema, config)).toBe(false);
  });
});
