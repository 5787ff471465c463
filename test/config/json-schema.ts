import type { JsonSchema } from '../../src/core/field.ts';

/** As much of JSON Schema as the fields use. */
export function accepts(schema: JsonSchema, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, rule]) => keywords[keyword]?.(rule, value, schema) ?? true);
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const types: Record<string, (value: unknown) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  integer: Number.isInteger,
};

// biome-ignore lint/suspicious/noExplicitAny: each keyword knows the shape of its rule.
export const keywords: Record<string, (rule: any, value: any, schema: any) => boolean> = {
  type: (type, value) => types[type]!(value),
  enum: (choices, value) => choices.includes(value),
  const: (only, value) => only === value,
  anyOf: (schemas, value) => schemas.some((each: JsonSchema) => accepts(each, value)),
  minLength: (min, value) => typeof value !== 'string' || value.length >= min,
  pattern: (pattern, value) => typeof value !== 'string' || new RegExp(pattern, 'u').test(value),
  minimum: (min, value) => typeof value !== 'number' || value >= min,
  maximum: (max, value) => typeof value !== 'number' || value <= max,
  items: (items, value) => !Array.isArray(value) || value.every((item) => accepts(items, item)),
  minItems: (min, value) => !Array.isArray(value) || value.length >= min,
  uniqueItems: (_, value) => !Array.isArray(value) || new Set(value).size === value.length,
  minProperties: (min, value) => !isObject(value) || Object.keys(value).length >= min,
  required: (names, value) => !isObject(value) || names.every((name: string) => name in value),
  propertyNames: (names, value) => !isObject(value) || Object.keys(value).every((key) => accepts(names, key)),
  properties: (properties, value) =>
    !isObject(value) || Object.entries(value).every(([key, each]) => accepts(properties[key] ?? {}, each)),
  additionalProperties: (rule, value, { properties = {} }) =>
    !isObject(value) ||
    Object.entries(value).every(
      ([key, each]) => key in properties || (rule !== false && accepts(rule, each)),
    ),
  $schema: () => true,
  title: () => true,
  description: () => true,
  default: () => true,
};
