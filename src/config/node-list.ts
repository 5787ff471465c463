import * as field from '../core/field.ts';
import type { Node, PoolName } from '../core/node.ts';
import { hostName, userName } from './address.ts';

/** For each entry of the list, the nodes that it stands for. */
export type NodeList = readonly (readonly Node[])[];

/** More is a slip of the hand: `[1:10000]` would be that many connections. */
export const nodesMax = 1000;

const patternExpected = "a host name, which may hold a range such as 'web[01:20].example.org'";
const pattern: field.Field<string> = { ...field.text, expected: patternExpected };

/** A node that is written as an object. */
export const nodeFields = {
  name: field.describe(
    'Its name on the screen, and by default the name of its server at the balancers; it may hold a range.',
    field.optional(pattern, 'the address'),
  ),
  address: field.describe(
    'Where SSH and checks reach it; it may hold a range as long as that of the name.',
    field.optional(pattern, 'the name'),
  ),
  user: field.describe('The login user.', field.optional(userName, 'ssh.user')),
  port: field.describe('The port of its SSH server.', field.optional(field.port, 'ssh.port')),
  pool: field.describe(
    'The pool that it gets traffic with, where the site has two, such as blue and green.',
    field.optional(field.textLike('the name of a pool', /^[A-Za-z0-9][\w-]*$/), 'no pool'),
  ),
  traffic: field.describe(
    'Whether balancers send it requests, which it must then be checked for; false for a machine with workers or jobs alone.',
    field.defaultsTo(field.flag, true),
  ),
  roles: field.describe(
    'What it is there for; hooks choose nodes by role.',
    field.defaultsTo(field.listOf(field.text), []),
  ),
  labels: field.describe(
    'Words of your own about it, such as its rack.',
    field.defaultsTo(field.mapOf(field.text), {}),
  ),
};

const nodeObject = field.objectOf(nodeFields);
type NodeSettings = field.ValueOf<typeof nodeObject>;

export const nodeEntry: field.Field<readonly Node[]> = {
  expected: "a host name such as 'web[01:20].example.org', or an object",
  summary: '',
  schema: { anyOf: [pattern.schema, nodeObject.schema] },
  inside: nodeFields,
  parse(value, path) {
    if (typeof value !== 'string' && !field.isPlainObject(value)) {
      return field.unexpected(path, this.expected, value);
    }
    const settings = nodeObject.parse(typeof value === 'string' ? { address: value } : value, path);
    return settings.ok ? nodesOf(settings.value, path) : settings;
  },
};

export const nodeListExpected = "a list of host names such as 'web[01:20].example.org', or of objects";

export const nodeListOrNone: field.Field<NodeList> = {
  ...field.listOf(nodeEntry),
  expected: nodeListExpected,
};

function nodesOf({ name, address, ...settings }: NodeSettings, path: string): field.Parsed<readonly Node[]> {
  if (name === null && address === null)
    return field.problem(path, 'expected a name or an address, got neither');
  const names = expand(name ?? address!, nodeName, path);
  const addresses = expand(address ?? name!, hostName, path);
  if (!names.ok) return names;
  if (!addresses.ok) return addresses;
  if (names.value.length !== addresses.value.length) {
    return field.problem(
      path,
      `expected as many addresses as names (${names.value.length}), got ${addresses.value.length}`,
    );
  }
  return field.parsed(
    names.value.map((each, i) => ({ ...settings, name: each, address: addresses.value[i]! })),
  );
}

const nodeName = field.textLike('the name of a node', /^[A-Za-z0-9_][\w.:-]*$/);

/** The texts that a pattern stands for: `web[08:10]` is web08, web09 and web10. */
function expand(text: string, each: field.Field<string>, path: string): field.Parsed<readonly string[]> {
  if (!/[[\]]/.test(text)) return field.all([each.parse(text, path)]);
  const [, before, from, to, after] = /^([^[\]]*)\[(\d{1,9}):(\d{1,9})\]([^[\]]*)$/.exec(text) ?? [];
  if (from === undefined) return field.unexpected(path, "one range of the form '[01:20]'", text);
  const count = Number(to) - Number(from) + 1;
  if (count < 1) return field.unexpected(path, 'a range that counts up', text);
  if (count > nodesMax) return field.problem(path, `expected at most ${nodesMax} nodes, got ${count}`);
  const number = (i: number) => String(Number(from) + i).padStart(from.length, '0');
  const texts = Array.from({ length: count }, (_, i) => `${before}${number(i)}${after}`);
  const first = each.parse(texts[0], path);
  return first.ok ? field.parsed(texts) : first;
}

export const poolsOf = (nodes: readonly Node[]): readonly PoolName[] => [
  ...new Set(nodes.flatMap(({ pool }) => pool ?? [])),
];

/** How many nodes get traffic together at least: those of the smaller pool, or all that get any. */
export function fewestTogether(nodes: readonly Node[]): number {
  const web = nodes.filter(({ traffic }) => traffic);
  return Math.min(web.length, ...poolsOf(web).map((pool) => web.filter((node) => node.pool === pool).length));
}
