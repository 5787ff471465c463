import { assert } from './assert.ts';
import { suggestion } from './nearest.ts';
import { Secret } from './secret.ts';

/** A value from outside: what it became, or all that is wrong with it, each problem beginning with its path. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * One setting: how it is read, what it is for, and how an editor checks it. Validation, defaults, the JSON Schema
 * and the reference are all made from fields, so that they cannot differ.
 */
export interface Field<T> {
  /** What is accepted, as it reads after "expected": `a host name`. */
  readonly expected: string;
  /** For the reference and the editor; '' inside lists. */
  readonly summary: string;
  readonly schema: JsonSchema;
  /** The value if the setting is absent; without it the setting is required. */
  readonly absent?: { readonly value: T; readonly shown: string };
  /** The settings inside, where there are any; the reference lists them. */
  readonly inside?: Fields<unknown>;
  /** Whether `inside` belongs to each entry of a list, or of an object with keys of the user's choice. */
  readonly many?: 'list' | 'map';
  /** Fields that hold fields hand `readSecret` on. */
  parse(value: unknown, path: string, readSecret?: ReadSecret): Parsed<T>;
}

export type Fields<T> = { readonly [K in keyof T]-?: Field<T[K]> };
export type JsonSchema = { readonly [key: string]: unknown };
export type ValueOf<F> = F extends Field<infer T> ? T : never;

/** Where a secret is kept, as a config says it. */
export type SecretPlace = { readonly env: string } | { readonly file: string };

/** Fetches a secret from its place while a config is read. */
export type ReadSecret = (place: SecretPlace, path: string) => Parsed<Secret>;

export const parsed = <T>(value: T): Parsed<T> => ({ ok: true, value });

export const problem = (
  path: string,
  text: string,
): { readonly ok: false; readonly problems: readonly string[] } => ({
  ok: false,
  problems: [path === '' ? text : `${path}: ${text}`],
});

export const unexpected = (path: string, expected: string, value: unknown): Parsed<never> =>
  problem(path, `expected ${expected}, got ${shown(value)}`);

/** A field made from a function that says what a value became, or undefined if it is not one. */
export const scalar = <T>(
  expected: string,
  schema: JsonSchema,
  read: (value: unknown) => T | undefined,
): Field<T> => ({
  expected,
  summary: '',
  schema,
  parse(value, path) {
    const result = read(value);
    return result === undefined ? unexpected(path, expected, value) : parsed(result);
  },
});

/** The field with its sentence; required unless it has a default. */
export const describe = <T>(summary: string, field: Field<T>): Field<T> => ({
  ...field,
  summary,
  schema: { ...field.schema, description: summary },
});

/** The field with a default. `shown` is how the reference writes it, if not as JSON. */
export const withDefault = <T>(field: Field<T>, value: T, display = JSON.stringify(value)): Field<T> => ({
  ...field,
  absent: { value, shown: display },
});

/** The field with a default as a user would write it: `defaultsTo(duration, '30s')`. */
export const defaultsTo = <T>(field: Field<T>, written: unknown, display = bare(written)): Field<T> => {
  const result = field.parse(written, '');
  assert(result.ok, `the default ${bare(written)} is ${field.expected}`);
  return withDefault({ ...field, schema: { ...field.schema, default: written } }, result.value, display);
};

const bare = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The field, or null if it is absent. */
export const optional = <T>(field: Field<T>, display = 'none'): Field<T | null> => ({
  ...(field as Field<T | null>),
  absent: { value: null, shown: display },
});

/** The field, for those of its values that `holds` is true of. */
export const refine = <T>(field: Field<T>, expected: string, holds: (value: T) => boolean): Field<T> => ({
  ...field,
  expected,
  parse(value, path, readSecret) {
    const result = field.parse(value, path, readSecret);
    return !result.ok || holds(result.value) ? result : unexpected(path, expected, value);
  },
});

export const text: Field<string> = scalar('a text', { type: 'string', minLength: 1 }, (value) =>
  typeof value === 'string' && value.trim() !== '' ? value : undefined,
);

/** A text of one form. What the pattern says, an editor checks too. */
export const textLike = (expected: string, pattern: RegExp): Field<string> =>
  scalar(expected, { type: 'string', pattern: pattern.source }, (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined,
  );

export const flag: Field<boolean> = scalar('true or false', { type: 'boolean' }, (value) =>
  typeof value === 'boolean' ? value : undefined,
);

export const integer = (min: number, max: number): Field<number> =>
  scalar(`a whole number from ${min} to ${max}`, { type: 'integer', minimum: min, maximum: max }, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
  );

export const port: Field<number> = integer(1, 65_535);

/** Milliseconds, written with a unit: `500ms`, `30s`, `5m`, `1h`. At most a week: a timer cannot hold a month. */
export const duration: Field<number> = scalar(
  "a duration with its unit, such as '500ms', '30s' or '5m', at most '168h'",
  { type: 'string', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h)$' },
  (value) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(typeof value === 'string' ? value : '') ?? [];
    const ms = Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
    return ms <= 168 * unitMs.h ? ms : undefined;
  },
);
const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A duration that is not 0, in milliseconds. */
export const period: Field<number> = refine(duration, "a duration of at least '1ms'", (ms) => ms > 0);

export const oneOf = <const T extends string>(choices: readonly T[]): Field<T> => {
  const expected = choices.map((choice) => `'${choice}'`).join(' or ');
  return {
    ...scalar(expected, { enum: choices }, (value) => choices.find((choice) => choice === value)),
    parse(value, path) {
      const found = choices.find((choice) => choice === value);
      if (found !== undefined) return parsed(found);
      const hint = typeof value === 'string' ? suggestion(value, choices) : '';
      return problem(path, `expected ${expected}, got ${shown(value)}${hint}`);
    },
  };
};

/** An argument list, run as it stands; or a text, the user's own, which `sh -c` reads. */
export const command: Field<readonly string[] | string> = scalar(
  "a command (a list such as ['npm', 'ci'], or a text for sh -c)",
  {
    anyOf: [
      { type: 'string', minLength: 1 },
      { type: 'array', items: { type: 'string' }, minItems: 1 },
    ],
  },
  (value) => {
    const words: readonly unknown[] = Array.isArray(value) ? value : [value];
    const whole = words.every((word) => typeof word === 'string' && !word.includes('\0'));
    return whole && text.parse(words[0], '').ok ? (value as string | readonly string[]) : undefined;
  },
);

/** A text that never shows in a log once it is read; best named by the place where it is kept. */
export const secret: Field<Secret> = {
  expected: "a text, { env: 'NAME' } or { file: '/path' }",
  summary: '',
  schema: { anyOf: [{ type: 'string', minLength: 1 }, placeSchema('env'), placeSchema('file')] },
  parse(value, path, readSecret) {
    if (value instanceof Secret) return parsed(value);
    if (isSecretPlace(value) && readSecret) return readSecret(value, path);
    if (typeof value === 'string' && value !== '') return parsed(new Secret(value));
    return unexpected(path, this.expected, value);
  },
};

/** A secret that never stands in a config, not even a private one. */
export const keptSecret: Field<Secret> = {
  ...secret,
  expected: "{ env: 'NAME' } or { file: '/path' }",
  schema: { anyOf: [placeSchema('env'), placeSchema('file')] },
  parse(value, path, readSecret) {
    return typeof value === 'string'
      ? problem(path, `expected ${this.expected}, got a text`)
      : secret.parse.call(this, value, path, readSecret);
  },
};

const isHttpUrl = (value: unknown): value is string =>
  typeof value === 'string' && URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol);

export const httpUrl: Field<string> = scalar(
  'an http:// or https:// URL',
  { type: 'string', pattern: '^https?://' },
  (value) => (isHttpUrl(value) ? value : undefined),
);

/** A URL that who knows it can write to. */
export const secretUrl: Field<Secret> = {
  ...secret,
  parse(value, path, readSecret) {
    const read = secret.parse(value, path, readSecret);
    if (!read.ok || isHttpUrl(read.value.reveal())) return read;
    return problem(path, 'expected an http:// or https:// URL, got a secret that is none');
  },
};

/** A text as it stands, or a secret by its place. */
export const textOrSecret: Field<string | Secret> = {
  ...secret,
  schema: { anyOf: [{ type: 'string' }, placeSchema('env'), placeSchema('file')] },
  parse: (value, path, readSecret) =>
    typeof value === 'string' ? parsed(value) : secret.parse(value, path, readSecret),
};

function placeSchema(key: string): JsonSchema {
  return {
    type: 'object',
    properties: { [key]: { type: 'string', minLength: 1 } },
    required: [key],
    additionalProperties: false,
  };
}

/** `{ env: 'NAME' }` or `{ file: '/path' }`, and nothing else. */
export const isSecretPlace = (value: unknown): value is SecretPlace => {
  if (!isPlainObject(value)) return false;
  const [[key, place] = [], ...others] = Object.entries(value);
  return (
    others.length === 0 && (key === 'env' || key === 'file') && typeof place === 'string' && place !== ''
  );
};

export const listOf = <T>(item: Field<T>, sizeMin = 0): Field<readonly T[]> => ({
  expected: `a list, each entry ${item.expected}`,
  summary: '',
  schema: { type: 'array', items: item.schema, ...(sizeMin > 0 ? { minItems: sizeMin } : {}) },
  ...(item.inside ? { inside: item.inside, many: 'list' } : {}),
  parse(value, path, readSecret) {
    if (!Array.isArray(value)) return unexpected(path, this.expected, value);
    if (value.length < sizeMin) return problem(path, `expected at least ${sizeMin} entry, got an empty list`);
    return all(value.map((entry, index) => item.parse(entry, `${path}[${index}]`, readSecret)));
  },
});

/** One value, or a list of such, in which none stands twice. */
export const oneOrMore = <T>(item: Field<T>): Field<readonly T[]> => {
  const several = listOf(item, 1);
  return {
    expected: `${item.expected}, or a list of such`,
    summary: '',
    schema: { anyOf: [item.schema, { ...several.schema, uniqueItems: true }] },
    parse(value, path, readSecret) {
      if (!Array.isArray(value)) {
        const one = item.parse(value, path, readSecret);
        return one.ok ? parsed([one.value]) : one;
      }
      const twice = value.findIndex((entry, i) => value.indexOf(entry) < i);
      return twice < 0
        ? several.parse(value, path, readSecret)
        : problem(`${path}[${twice}]`, `${shown(value[twice])} stands in the list before`);
    },
  };
};

/** An object with keys of the user's choice, each of them a `key`. */
export const mapOf = <T>(
  item: Field<T>,
  key: string | Field<string> = 'a name',
): Field<Readonly<Record<string, T>>> => {
  const keyField = typeof key === 'string' ? { ...text, expected: key } : key;
  return {
    expected: `an object, each key ${keyField.expected}, each value ${item.expected}`,
    summary: '',
    schema: { type: 'object', propertyNames: keyField.schema, additionalProperties: item.schema },
    ...(item.inside ? { inside: item.inside, many: 'map' } : {}),
    parse(value, path, readSecret) {
      if (!isPlainObject(value)) return unexpected(path, this.expected, value);
      const names = Object.keys(value);
      const keys = all(names.map((name) => keyOf(keyField, name, path)));
      const values = all(names.map((name) => item.parse(value[name], join(path, name), readSecret)));
      if (!keys.ok || !values.ok)
        return { ok: false, problems: [...problemsOf(keys), ...problemsOf(values)] };
      return parsed(Object.fromEntries(names.map((name, i) => [name, values.value[i]!])));
    },
  };
};

const keyOf = (field: Field<string>, name: string, path: string): Parsed<string> =>
  field.parse(name, '').ok
    ? parsed(name)
    : problem(join(path, name), `expected ${field.expected} as the key, got ${shown(name)}`);

/** An object with exactly these settings. Unknown ones are problems, with the nearest known name. */
export const objectOf = <T>(fields: Fields<T>, expected = 'an object'): Field<T> => ({
  expected,
  summary: '',
  schema: {
    type: 'object',
    properties: Object.fromEntries(entries(fields).map(([name, field]) => [name, field.schema])),
    required: entries(fields).flatMap(([name, field]) => (field.absent ? [] : [name])),
    additionalProperties: false,
  },
  inside: fields as Fields<unknown>,
  parse(value, path, readSecret) {
    if (!isPlainObject(value)) return unexpected(path, expected, value);
    return parseFields(fields, value, path, readSecret);
  },
});

/** One of several kinds of a thing, as a registry holds it. */
export interface Kind {
  readonly summary: string;
  readonly options: Fields<Record<string, unknown>>;
  /** What is wrong with options that are right one by one. */
  readonly conflicts?: (options: Readonly<Record<string, unknown>>) => readonly Conflict[];
}

export interface Conflict {
  readonly setting: string;
  /** Reads after the path of the setting. */
  readonly problem: string;
}

/** An object that says its kind at `tag`; its other settings are the options of that kind. */
export const variantOf = (
  tag: string,
  kinds: Readonly<Record<string, Kind>>,
): Field<{ readonly kind: string; readonly options: Readonly<Record<string, unknown>> }> => ({
  expected: `an object with ${tag}: ${oneOf(Object.keys(kinds)).expected}`,
  summary: '',
  schema: {
    anyOf: Object.entries(kinds).map(([name, kind]) => objectOf(taggedFields(tag, name, kind)).schema),
  },
  parse(value, path, readSecret) {
    if (!isPlainObject(value)) return unexpected(path, this.expected, value);
    const { [tag]: name, ...options } = value;
    const kind = oneOf(Object.keys(kinds)).parse(name, join(path, tag));
    if (!kind.ok) return kind;
    const { options: fields, conflicts = () => [] } = kinds[kind.value]!;
    const result = parseFields(fields, options, path, readSecret);
    if (!result.ok) return result;
    const found = all(conflicts(result.value).map((one) => problem(join(path, one.setting), one.problem)));
    return found.ok ? parsed({ kind: kind.value, options: result.value }) : found;
  },
});

const taggedFields = (tag: string, name: string, { summary, options }: Kind): Kind['options'] => ({
  [tag]: describe(
    summary,
    scalar(`'${name}'`, { const: name }, (value) => (value === name ? name : undefined)),
  ),
  ...options,
});

/** Reads an object's settings, all problems at once. */
export function parseFields<T>(
  fields: Fields<T>,
  value: Readonly<Record<string, unknown>>,
  path = '',
  readSecret?: ReadSecret,
): Parsed<T> {
  const known = entries(fields);
  const values = known.map(([name, field]) => parseField(field, value[name], join(path, name), readSecret));
  const result = all([...unknownSettings(fields, value, path), ...values]);
  return result.ok
    ? parsed(Object.fromEntries(known.map(([name], i) => [name, result.value[i]])) as T)
    : result;
}

/** Reads one setting: its value, else its default. */
export function parseField<T>(
  field: Field<T>,
  value: unknown,
  path: string,
  readSecret?: ReadSecret,
): Parsed<T> {
  if (value !== undefined) return field.parse(value, path, readSecret);
  return field.absent ? parsed(field.absent.value) : problem(path, `expected ${field.expected}, got nothing`);
}

/** A problem for each setting that no field stands for, with the nearest name that one does. */
export function unknownSettings<T>(
  fields: Fields<T>,
  value: Readonly<Record<string, unknown>>,
  path: string,
): readonly Parsed<never>[] {
  const known = Object.keys(fields);
  return Object.keys(value)
    .filter((name) => !known.includes(name))
    .map((name) => problem(join(path, name), `unknown setting${suggestion(name, known)}`));
}

/** All values, or all problems. */
export function all<T>(results: readonly Parsed<T>[]): Parsed<readonly T[]> {
  const problems = results.flatMap(problemsOf);
  return problems.length > 0
    ? { ok: false, problems }
    : parsed(results.flatMap((result) => (result.ok ? [result.value] : [])));
}

export const problemsOf = (result: Parsed<unknown>): readonly string[] => (result.ok ? [] : result.problems);

export const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);

export const join = (path: string, name: string): string => {
  if (!/^[A-Za-z_][\w-]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
};

/**
 * A value as an error shows it: short and on one line. Of a list or an object it says only that it is one, and of a
 * URL not the password, for secrets may stand in them.
 */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value instanceof Secret) return 'a secret';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  const json = (JSON.stringify(value) ?? String(value)).replace(/:\/\/[^\s/@]+@/g, '://[secret]@');
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

const entries = <T>(fields: Fields<T>): readonly [string, Field<unknown>][] =>
  Object.entries(fields) as [string, Field<unknown>][];
