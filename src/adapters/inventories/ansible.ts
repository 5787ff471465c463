import { failure, list as listed } from '../../core/errors.ts';
import { describe, isPlainObject, oneOrMore, text, withDefault } from '../../core/field.ts';
import { type InventoryKind, inventoryKind } from '../../core/inventory.ts';
import { printed } from './printed.ts';

interface AnsibleOptions {
  readonly inventory: readonly string[];
  readonly group: string;
}

/**
 * An inventory of Ansible, of any form that Ansible itself reads: `ansible-inventory --list` says what is in it. Of the variables of
 * a host those are honoured that say how SSH reaches it; its groups are its roles.
 */
export const ansible: InventoryKind = inventoryKind<AnsibleOptions>({
  summary:
    'An inventory of Ansible, read by ansible-inventory: INI, YAML, scripts and plugins. ansible_host, ansible_port and ansible_user are honoured, and the groups of a host are its roles.',
  options: {
    inventory: describe(
      'The inventory, or a list of such: paths from the directory of the config.',
      oneOrMore(text),
    ),
    group: describe(
      'The group whose hosts are the nodes, with those of the groups below it.',
      withDefault(text, 'all'),
    ),
  },
  create({ inventory, group }, place) {
    const shown = `group ${group} of the Ansible inventory ${listed(inventory)}`;
    return {
      shown,
      async list(withinMs) {
        const sources = inventory.flatMap((path) => ['-i', path]);
        const answer = await printed(
          {
            command: ['ansible-inventory', ...sources, '--list'],
            list: shown,
            withinMs,
            absent: 'there is no ansible-inventory on this machine, which comes with Ansible (ansible-core)',
          },
          place,
        );
        const found = hostsOf(isPlainObject(answer) ? answer : {}, group);
        if (found !== null) return found;
        throw failure('NODES_UNLISTED', { list: shown, reason: 'the inventory has no such group' });
      },
    };
  },
});

type Answer = Readonly<Record<string, unknown>>;

/** Null: there is no such group. Ansible leaves groups without hosts out. */
function hostsOf(answer: Answer, group: string): readonly unknown[] | null {
  if (group !== 'all' && !Object.hasOwn(answer, group)) return null;
  const groups = Object.keys(answer).filter(
    (name) => name !== '_meta' && name !== 'all' && name !== 'ungrouped',
  );
  const members = new Map(groups.map((name) => [name, new Set(membersOf(answer, name))]));
  const names = new Set(membersOf(answer, group));
  return [...names].map((name) =>
    entryOf(
      name,
      groups.filter((one) => members.get(one)!.has(name)),
      variablesOf(answer, name),
    ),
  );
}

/** With those of the groups below; a group stands below itself in no inventory that Ansible takes, and is looked at once all the same. */
function membersOf(answer: Answer, group: string, seen: Set<string> = new Set()): readonly string[] {
  if (seen.has(group)) return [];
  seen.add(group);
  const found = Object.hasOwn(answer, group) ? answer[group] : null;
  const { hosts, children } = isPlainObject(found) ? found : {};
  return [...textsIn(hosts), ...textsIn(children).flatMap((child) => membersOf(answer, child, seen))];
}

const textsIn = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];

function variablesOf({ _meta }: Answer, name: string): Answer {
  const all = isPlainObject(_meta) && isPlainObject(_meta.hostvars) ? _meta.hostvars : {};
  const own = Object.hasOwn(all, name) ? all[name] : null;
  return isPlainObject(own) ? own : {};
}

/** Variables that are texts become labels, unless they are Ansible's own, among which stand passwords. */
function entryOf(name: string, roles: readonly string[], variables: Answer): Answer {
  const { ansible_host, ansible_port, ansible_user } = variables;
  const labels = Object.entries(variables).filter(
    ([key, value]) => typeof value === 'string' && value.trim() !== '' && !key.startsWith('ansible_'),
  );
  return {
    name,
    address: ansible_host ?? name,
    port: /^\d+$/.test(String(ansible_port)) ? Number(ansible_port) : ansible_port,
    user: ansible_user,
    roles,
    labels: Object.fromEntries(labels),
  };
}
