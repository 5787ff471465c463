import type { Field, JsonSchema } from '../core/field.ts';
import { type Registries, siteFields } from './fields.ts';
import { fleetSiteFields } from './fleet-fields.ts';

/** A JSON Schema (draft 2020-12) of configs, for editors. What spans several settings only sluice itself checks. */
export function siteSchema(registries: Registries): JsonSchema {
  const { name, stages, ...shared } = siteFields(registries);
  const { fleet, source } = fleetSiteFields(registries);
  const sources = { ...shared.source, schema: anyOf(shared.source, source) };
  const properties = Object.fromEntries(
    Object.entries<Field<unknown>>({ ...shared, fleet, source: sources }).map(([key, field]) => [
      key,
      partial(field.schema),
    ]),
  );
  const stage = { type: 'object', properties, additionalProperties: false };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A site of sluice',
    type: 'object',
    properties: {
      $schema: { type: 'string' },
      name: name.schema,
      ...properties,
      stages: { ...stages.schema, minProperties: 1, additionalProperties: stage },
    },
    required: ['name', 'stages'],
    additionalProperties: false,
  };
}

const anyOf = (...fields: readonly Pick<Field<unknown>, 'schema'>[]): JsonSchema => ({
  anyOf: fields.map(({ schema }) => schema),
});

/** Without what is required: a site may leave to its stages, and a stage to its site, any setting of an object. */
function partial({ required: _, ...schema }: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, inside[key]?.(value as JsonSchema) ?? value]),
  );
}

/** Where objects of an object stand. Lists are not among them: a stage replaces them whole. */
const inside: Readonly<Record<string, (schema: JsonSchema) => JsonSchema | readonly JsonSchema[]>> = {
  properties: (properties) =>
    Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, partial(value as JsonSchema)])),
  additionalProperties: (schema) => (typeof schema === 'object' ? partial(schema) : schema),
  anyOf: (schemas) => (schemas as unknown as readonly JsonSchema[]).map(partial),
};
