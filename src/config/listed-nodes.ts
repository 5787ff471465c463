import * as field from '../core/field.ts';
import type { InventoryKind, Listing } from '../core/inventory.ts';
import type { Node } from '../core/node.ts';
import { userName } from './address.ts';
import { type NodeList, nodeEntry, nodeListExpected } from './node-list.ts';

/** What is to be read of a list that the config names, by the path of its setting. */
export interface WantedList {
  readonly path: string;
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly withinMs: number;
}

/** What was read of it; null: it is not read yet, and stands for no node. */
export type FindListing = (wanted: WantedList) => Listing | null;

const label = field.text;

/** What each list may say beside the options of its kind. */
export const listFields = {
  user: field.describe('The login user, where the list does not say.', field.optional(userName, 'ssh.user')),
  port: field.describe(
    'The port of the SSH server, where the list does not say.',
    field.optional(field.port, 'ssh.port'),
  ),
  pool: field.describe(
    'The pool of all that are listed, where the list does not say.',
    field.optional(field.text, 'no pool'),
  ),
  traffic: field.describe(
    'Whether balancers send them requests, where the list does not say.',
    field.defaultsTo(field.flag, true),
  ),
  roles: field.describe('Roles that all of them have.', field.defaultsTo(field.listOf(field.text), [])),
  fromLabels: field.describe(
    'Labels (tags, variables) that say what each node is: name, by default also its name at the balancers; pool; and roles, several with commas between.',
    field.defaultsTo(
      field.objectOf({
        name: field.describe('The label with the name.', field.optional(label)),
        pool: field.describe('The label with the pool.', field.optional(label)),
        roles: field.describe('The label with the roles.', field.optional(label)),
      }),
      {},
    ),
  ),
  within: field.describe('How long the list may take to be read.', field.defaultsTo(field.period, '30s')),
};
type ListSettings = { readonly [K in keyof typeof listFields]: field.ValueOf<(typeof listFields)[K]> };

/** Every kind of list, with what all of them have. */
export const listsOfNodes = (
  kinds: Readonly<Record<string, InventoryKind>>,
): Readonly<Record<string, field.Kind>> =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, { summary, options }]) => [
      name,
      { summary, options: { ...options, ...listFields } },
    ]),
  );

/** The nodes of a site: a list of such as are written and of lists that are kept elsewhere, or one of those alone. */
export const nodesField = (
  kinds: Readonly<Record<string, InventoryKind>>,
  find: FindListing,
): field.Field<NodeList> => {
  const list = listEntry(kinds, find);
  const entry: field.Field<readonly Node[]> = {
    ...nodeEntry,
    schema: { anyOf: [nodeEntry.schema, list.schema] },
    parse: (value, path, readSecret) => (isList(value) ? list : nodeEntry).parse(value, path, readSecret),
  };
  const several = { ...field.listOf(entry, 1), expected: nodeListExpected };
  return {
    ...several,
    expected: `${nodeListExpected}; or an object with from, alone or in that list`,
    schema: { anyOf: [several.schema, list.schema] },
    parse(value, path, readSecret) {
      if (!isList(value)) return several.parse(value, path, readSecret);
      const nodes = list.parse(value, path, readSecret);
      return nodes.ok ? field.parsed([nodes.value]) : nodes;
    },
  };
};

const isList = (value: unknown): boolean => field.isPlainObject(value) && Object.hasOwn(value, 'from');

const listEntry = (
  kinds: Readonly<Record<string, InventoryKind>>,
  find: FindListing,
): field.Field<readonly Node[]> => {
  const variant = field.variantOf('from', listsOfNodes(kinds));
  return {
    expected: variant.expected,
    summary: '',
    schema: variant.schema,
    parse(value, path, readSecret) {
      const settings = variant.parse(value, path, readSecret);
      if (!settings.ok) return settings;
      // Read by the fields above, as every setting of a kind.
      const all = settings.value.options as Readonly<Record<string, unknown>> & ListSettings;
      const own = Object.entries(all).filter(([name]) => !Object.hasOwn(listFields, name));
      const { kind } = settings.value;
      const listing = find({ path, kind, options: Object.fromEntries(own), withinMs: all.within });
      return listing === null ? field.parsed([]) : listedNodes(listing, all, path);
    },
  };
};

/** Each problem ends with the list that it is of: nobody wrote that place into a config. */
function listedNodes(
  { shown, nodes }: Listing,
  settings: ListSettings,
  path: string,
): field.Parsed<readonly Node[]> {
  const read = field.all(nodes.map((raw, i) => listedNode(raw, settings, `${path}[${i}]`)));
  return read.ok
    ? field.parsed(read.value.flat())
    : { ok: false, problems: read.problems.map((text) => `${text} (from ${shown})`) };
}

function listedNode(raw: unknown, settings: ListSettings, path: string): field.Parsed<readonly Node[]> {
  const own = typeof raw === 'string' ? { address: raw } : raw;
  if (!field.isPlainObject(own)) return nodeEntry.parse(own, path);
  const { user, port, pool, traffic, roles, fromLabels } = settings;
  const labels = field.isPlainObject(own.labels) ? own.labels : {};
  const said = (name: string | null): unknown =>
    name !== null && Object.hasOwn(labels, name) ? labels[name] : undefined;
  if (fromLabels.name !== null && said(fromLabels.name) === undefined)
    return field.problem(path, `expected a label ${fromLabels.name}, which is to name the node, got none`);
  const more = [own.roles ?? [], rolesIn(said(fromLabels.roles))];
  const entry = withoutAbsent({
    user,
    port,
    pool,
    traffic,
    ...own,
    roles: more.every(Array.isArray) ? [...new Set([...roles, ...more.flat()])] : own.roles,
    name: said(fromLabels.name) ?? own.name,
    ...withoutAbsent({ pool: said(fromLabels.pool) }),
  });
  return nodeEntry.parse(entry, path);
}

const rolesIn = (text: unknown): readonly string[] =>
  typeof text === 'string'
    ? text
        .split(',')
        .map((role) => role.trim())
        .filter((role) => role !== '')
    : [];

/** What is not set is left to the fields of nodes. */
const withoutAbsent = (entry: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined && value !== null));
