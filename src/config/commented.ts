/** A setting as `sluice init` writes it: with the reason why above it. */
export interface Entry {
  readonly key: string;
  readonly value: Value;
  /** One comment, a line each. */
  readonly why: readonly string[];
}

/** A list of texts or commands, an object in order, or a single value. */
export type Value = string | number | boolean | readonly Item[] | Block;

export interface Block {
  readonly settings: readonly Entry[];
}

type Item = string | readonly string[] | Block;

export const entry = (key: string, value: Value, ...why: readonly string[]): Entry => ({ key, value, why });

export const object = (...settings: readonly Entry[]): Block => ({ settings });

const widthMax = 100;

/** The entries as the inside of an object in TypeScript, indented by `depth` steps. */
export const asTypeScript = (entries: readonly Entry[], depth: number): string =>
  entries
    .flatMap(({ key, value, why }) => [
      ...why.map((line) => `${indent(depth)}// ${line}`),
      `${indent(depth)}${/^\w+$/.test(key) ? key : quoted(key)}: ${scriptValue(value, depth)},`,
    ])
    .join('\n');

function scriptValue(value: Value | Item, depth: number): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object') return String(value);
  if ('settings' in value && value.settings.length === 0) return '{}';
  if ('settings' in value) return `{\n${asTypeScript(value.settings, depth + 1)}\n${indent(depth)}}`;
  const items = value.map((item) => scriptValue(item, depth + 1));
  const line = `[${items.join(', ')}]`;
  if (!line.includes('\n') && line.length < widthMax) return line;
  return `[\n${items.map((item) => `${indent(depth + 1)}${item},\n`).join('')}${indent(depth)}]`;
}

/** The entries as YAML, indented by `depth` steps. */
export const asYaml = (entries: readonly Entry[], depth = 0): string =>
  entries
    .flatMap(({ key, value, why }) => [
      ...why.map((line) => `${indent(depth)}# ${line}`),
      `${indent(depth)}${bare(key)}:${yamlValue(value, depth)}`,
    ])
    .join('\n');

function yamlValue(value: Value, depth: number): string {
  if (typeof value !== 'object') return ` ${typeof value === 'string' ? bare(value) : value}`;
  if ('settings' in value) return `\n${asYaml(value.settings, depth + 1)}`;
  if (value.every(isWord)) return ` [${value.map(bare).join(', ')}]`;
  return value.map((item) => `\n${indent(depth + 1)}- ${yamlItem(item, depth + 2)}`).join('');
}

function yamlItem(item: Item, depth: number): string {
  if (typeof item === 'string') return bare(item);
  return 'settings' in item ? asYaml(item.settings, depth).trimStart() : `[${item.map(bare).join(', ')}]`;
}

const isWord = (item: Item): item is string => typeof item === 'string' && !item.includes(' ');

const indent = (depth: number): string => '  '.repeat(depth);

const quoted = (text: string): string =>
  text.includes("'") ? JSON.stringify(text) : `'${text.replaceAll('\\', '\\\\')}'`;

/** Without quotes where YAML reads the same text, in JSON's quotes elsewhere. */
const bare = (text: string): string =>
  /^[A-Za-z/][\w/.:@-]*[\w/]$/.test(text) && !/^(true|false|yes|no|on|off|null)$/i.test(text)
    ? text
    : JSON.stringify(text);
