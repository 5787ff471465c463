import type { CommandLine } from './command.ts';
import type { Duty, HookPoint, HookSpec } from './hook.ts';

/** What brings the database from one release to the next, in two parts between which both releases can use it. */
export interface Migration {
  /** Before the first node changes: only adds, for the old release is live. */
  readonly expand: CommandLine;
  /** Once no node has the old release: takes away what only that one needed. */
  readonly contract: CommandLine | null;
  /** Whether it closes the way back; a command is asked before each part. Null: only `contract` does. */
  readonly irreversible: boolean | CommandLine | null;
  /** The node is the first with this role; null: the first of all. */
  readonly role: string | null;
  readonly timeoutMs: number;
}

/** Made before the migration. It is written to the path in `SLUICE_BACKUP`, or named by the last line of output. */
export interface Backup {
  readonly command: CommandLine;
  readonly role: string | null;
  readonly timeoutMs: number;
}

/** Migration and backup as hooks, in their order. They stand before the user's own at the same points. */
export const dutyHooks = (migrate: Migration | null, backup: Backup | null): readonly HookSpec[] => [
  ...(backup === null ? [] : [hookOf('backup', backup.command, backup)]),
  ...(migrate === null
    ? []
    : [
        hookOf('expand', migrate.expand, { ...migrate, closesWayBack: migrate.irreversible ?? false }),
        ...(migrate.contract === null
          ? []
          : [
              hookOf('contract', migrate.contract, {
                ...migrate,
                closesWayBack: migrate.irreversible ?? true,
              }),
            ]),
      ]),
];

/** Their names in plans and marks, which are not free for hooks of the user's. */
export const dutyNames: { readonly [D in Duty]: string } = {
  backup: 'backup',
  expand: 'expand',
  contract: 'contract',
};

const points: { readonly [D in Duty]: HookPoint } = {
  backup: 'after:prepare',
  expand: 'after:prepare',
  contract: 'after:deploy',
};

const hookOf = (
  duty: Duty,
  command: CommandLine,
  {
    role,
    timeoutMs,
    closesWayBack = false,
  }: Pick<Backup, 'role' | 'timeoutMs'> & {
    readonly closesWayBack?: boolean | CommandLine;
  },
): HookSpec => ({
  name: dutyNames[duty],
  point: points[duty],
  duty,
  action: { kind: 'nodes', command, role, once: true, timeoutMs, closesWayBack },
});
