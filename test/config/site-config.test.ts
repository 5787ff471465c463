import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, test } from 'vitest';
import type { Settings } from '../../src/config/fields.ts';
import * as fields from '../../src/config/fields.ts';
import { commandHookFields } from '../../src/config/hook-entry.ts';
import { listFields } from '../../src/config/listed-nodes.ts';
import { nodeFields } from '../../src/config/node-list.ts';
import type {
  CheckConfig,
  CommandHookConfig,
  DrainConfig,
  NodeConfig,
  NodesFromConfig,
  S3Config,
  SeedConfig,
  SiteConfig,
  SourceConfig,
  SshConfig,
} from '../../src/config/site-config.ts';
import type { Field } from '../../src/core/field.ts';
import { defineSite, env, file } from '../../src/index.ts';
import { registries } from './parsing.ts';

/** But for those of any name. */
type KnownKeys<T> = keyof { [K in keyof T as string extends K ? never : K]: T[K] };

test('the type has exactly the settings of the fields', () => {
  expectTypeOf<keyof SiteConfig>().toEqualTypeOf<keyof Settings>();
  expectTypeOf<keyof SourceConfig>().toEqualTypeOf<
    keyof typeof fields.sourceFields | keyof typeof fields.seedSourceFields
  >();
  expectTypeOf<keyof SeedConfig>().toEqualTypeOf<keyof typeof fields.seedFields>();
  expectTypeOf<keyof S3Config>().toEqualTypeOf<keyof typeof fields.s3Fields>();
  expectTypeOf<keyof NodeConfig>().toEqualTypeOf<keyof typeof nodeFields>();
  expectTypeOf<keyof DrainConfig>().toEqualTypeOf<keyof typeof fields.drainFields>();
  expectTypeOf<keyof CheckConfig>().toEqualTypeOf<keyof typeof fields.checkFields>();
  expectTypeOf<keyof CommandHookConfig>().toEqualTypeOf<keyof typeof commandHookFields>();
  expectTypeOf<Exclude<KnownKeys<NodesFromConfig>, 'from'>>().toEqualTypeOf<keyof typeof listFields>();
  expectTypeOf<keyof SshConfig>().toEqualTypeOf<keyof typeof fields.sshFields>();
});

test('each setting bears the sentence of its field', () => {
  const source = readFileSync(new URL('../../src/config/site-config.ts', import.meta.url), 'utf8');
  const text = source.replace(/\n\s*\*(?!\/)/g, '').replace(/\s+/g, ' ');
  const { sourceFields, seedFields, s3Fields, drainFields, checkFields, sshFields } = fields;
  const groups = [
    sourceFields,
    seedFields,
    s3Fields,
    drainFields,
    checkFields,
    sshFields,
    nodeFields,
    listFields,
    commandHookFields,
  ];
  const sentences = [fields.siteFields(registries), ...groups].flatMap((group) =>
    Object.values<Field<unknown>>(group).map(({ summary }) => summary),
  );
  expect(sentences.filter((sentence) => !text.includes(`/** ${sentence} */`))).toEqual([]);
});

test('defineSite changes nothing, and a secret is named by its place', () => {
  const config: SiteConfig = { name: 'shop', stages: {}, source: { env: { A: env('A'), B: file('b') } } };
  expect(defineSite(config)).toBe(config);
  expect(config.source?.env).toEqual({ A: { env: 'A' }, B: { file: 'b' } });
});
