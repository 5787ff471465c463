import * as field from '../core/field.ts';
import type { Backup } from '../core/migration.ts';

const common = {
  role: field.describe(
    'The first node with this role makes it.',
    field.optional(field.text, 'the first node'),
  ),
  timeout: field.describe('How long it may take.', field.defaultsTo(field.period, '1h')),
};

/** More of the program's own options; none that holds a secret, for everybody on the node can read them. */
const options = field.describe(
  'More options of the program. A password on a command line is read by all: it has files for that.',
  field.defaultsTo(field.listOf(field.text), []),
);

/** What can make a backup before a migration. Each is run on the node, in the release. */
export const backupKinds = {
  command: {
    summary:
      'A command that writes to the path in SLUICE_BACKUP, or names what it made, such as a snapshot, in its last line.',
    options: { run: field.describe('The command.', field.command), ...common },
  },
  mysqldump: {
    summary: 'A dump of a MySQL or MariaDB database in one transaction, as SQL, compressed.',
    options: {
      database: field.describe('The name of the database.', field.text),
      defaultsFile: field.describe(
        'The option file on the node with user and password; none is needed where the socket knows the user.',
        field.optional(field.text),
      ),
      options,
      ...common,
    },
  },
  pg_dump: {
    summary:
      "A dump of a PostgreSQL database in pg_dump's own format. Passwords come from ~/.pgpass, or the socket knows the user.",
    options: {
      database: field.describe(
        "The name of the database, or a connection string without a password, such as 'host=db1 dbname=shop'.",
        field.text,
      ),
      options,
      ...common,
    },
  },
} as const satisfies Readonly<Record<string, field.Kind>>;

type Kinds = typeof backupKinds;
type OptionsOf<K extends keyof Kinds> = {
  readonly [N in keyof Kinds[K]['options']]: field.ValueOf<Kinds[K]['options'][N]>;
};

/** The commands: what the settings hold reaches the shell as arguments, never as a part of its text. */
const commands: { readonly [K in keyof Kinds]: (options: OptionsOf<K>) => Backup['command'] } = {
  command: ({ run }) => run,
  mysqldump: ({ database, defaultsFile, options }) => [
    ...['sh', '-c', 'mysqldump "$@" > "$SLUICE_BACKUP.sql" && gzip "$SLUICE_BACKUP.sql"', 'sh'],
    ...(defaultsFile === null ? [] : [`--defaults-extra-file=${defaultsFile}`]),
    ...['--single-transaction', '--quick', ...options, database],
  ],
  pg_dump: ({ database, options }) => [
    ...['sh', '-c', 'pg_dump "$@" --file="$SLUICE_BACKUP.dump"', 'sh'],
    ...['--no-password', '--format=custom', ...options, `--dbname=${database}`],
  ],
};

export function backupOf({ kind, options }: BackupSettings): Backup {
  const { role, timeout } = options as OptionsOf<'command'>;
  // The options are those of the kind: `variantOf` read both.
  const command = (
    commands[kind as keyof Kinds] as (options: BackupSettings['options']) => Backup['command']
  )(options);
  return { command, role, timeoutMs: timeout };
}

type BackupSettings = field.ValueOf<typeof backupField>;

export const backupField = field.variantOf('kind', backupKinds);
