import * as field from '../core/field.ts';
import type { HookAction, HookFunction, HookKind } from '../core/hook.ts';

/** A hook as it stands at a point; null: it takes its name from the point. */
export interface HookEntry {
  readonly name: string | null;
  readonly action: HookAction;
}

const hookName = field.textLike('a name on one line', /^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$/u);

const named = {
  name: field.describe('Its name in plans and logs.', field.optional(hookName, '`<point>[<index>]`')),
  timeout: field.describe('How long it may take.', field.defaultsTo(field.period, '10m')),
};

/** A hook that is a command. */
export const commandHookFields = {
  run: field.describe('The command; on nodes it runs in the live release.', field.command),
  on: field.describe(
    'Where it runs: on nodes, or on the machine that sluice runs on.',
    field.defaultsTo(field.oneOf(['nodes', 'operator']), 'nodes'),
  ),
  role: field.describe('Only nodes with this role.', field.optional(field.text, 'all nodes of the step')),
  once: field.describe(
    'On one node only, and once in a deploy, whatever is retried: for migrations.',
    field.defaultsTo(field.flag, false),
  ),
  ...named,
};

/** A hook that is ready-made; the options of its kind stand beside these. */
export const readyMadeHookFields = {
  use: field.describe('The name of the ready-made hook.', field.text),
  ...named,
};

/** `{ run }`, `{ use }`, or a function of a TypeScript config. */
export const hookEntry = (kinds: Readonly<Record<string, HookKind>>): field.Field<HookEntry> => {
  const readyMade = field.variantOf('use', withNames(kinds));
  const command = field.objectOf(commandHookFields);
  return {
    expected: 'a hook: { run: … }, { use: … } or a function',
    summary: '',
    schema: { anyOf: [command.schema, readyMade.schema] },
    inside: commandHookFields,
    parse(value, path, readSecret) {
      if (typeof value === 'function') return functionHook(value as HookFunction);
      if (!field.isPlainObject(value)) return field.unexpected(path, this.expected, value);
      if (!('use' in value)) return commandHook(command.parse(value, path, readSecret), value, path);
      const entry = readyMade.parse(value, path, readSecret);
      return entry.ok ? readyMadeHook(kinds, entry.value) : entry;
    },
  };
};

const withNames = (kinds: Readonly<Record<string, HookKind>>): Readonly<Record<string, field.Kind>> =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, { summary, options }]) => [
      name,
      { summary, options: { ...options, ...named } },
    ]),
  );

const functionHook = (run: HookFunction): field.Parsed<HookEntry> =>
  field.parsed({ name: null, action: { kind: 'function', run, timeoutMs: named.timeout.absent!.value } });

function readyMadeHook(
  kinds: Readonly<Record<string, HookKind>>,
  { kind, options }: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> },
): field.Parsed<HookEntry> {
  const { name, timeout, ...own } = options;
  const run = kinds[kind]!.create(own);
  return field.parsed({
    name: name as string | null,
    action: { kind: 'function', run, options: own, timeoutMs: timeout as number },
  });
}

type CommandHook = {
  readonly [K in keyof typeof commandHookFields]: field.ValueOf<(typeof commandHookFields)[K]>;
};

function commandHook(
  settings: field.Parsed<CommandHook>,
  written: Readonly<Record<string, unknown>>,
  path: string,
): field.Parsed<HookEntry> {
  if (!settings.ok) return settings;
  const { run, on, role, once, name, timeout: timeoutMs } = settings.value;
  if (on === 'nodes') {
    return field.parsed({ name, action: { kind: 'nodes', command: run, role, once, timeoutMs } });
  }
  const misplaced = ['role', 'once'].filter((key) => key in written);
  if (misplaced.length === 0)
    return field.parsed({ name, action: { kind: 'operator', command: run, timeoutMs } });
  return field.all<never>(
    misplaced.map((key) =>
      field.problem(field.join(path, key), "only a hook with on: 'nodes' can have this"),
    ),
  ) as field.Parsed<never>;
}
