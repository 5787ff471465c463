import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeReleases } from '../../src/commands/cleanup.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { runHook } from '../../src/commands/run-hook.ts';
import { type Backup, dutyHooks, type Migration } from '../../src/core/migration.ts';
import { node, release, releaseId } from '../core/fleet.ts';
import { nodeFolder, type Ran } from './node-folder.ts';

type Folder = ReturnType<typeof nodeFolder>;
const one = releaseId(1);

/** Locked, and with a release. */
function newNode(): Folder {
  const folder = nodeFolder();
  const lock = { run: 'run-1', holder: 'ada', host: 'desk', reason: 'a test', startedAt: '', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  folder.mkdir(`releases/${one}`);
  folder.write(`.sluice/releases/${one}`, 'complete 1\n');
  return folder;
}

type Result = ReturnType<ReturnType<typeof runHook>['parse']>;

function run(
  folder: Folder,
  migrate: Partial<Migration> | null,
  backup: Partial<Backup> | null,
): Ran<Result> {
  const common = { role: null, timeoutMs: 1000 };
  const [hook] = dutyHooks(
    migrate && { expand: 'true', contract: null, irreversible: null, ...common, ...migrate },
    backup && { command: 'true', ...common, ...backup },
  );
  const { name, point, duty, action } = hook!;
  if (action.kind !== 'nodes' || !duty) throw new Error('it has a duty on nodes');
  return folder.run(
    runHook(folder.fence(), { hook: name, point, onceAs: one, release: release(1), duty, ...action }),
  );
}

const look = (folder: Folder) => folder.run(inspect(node('web1'), folder.site)).result;

test('that a migration is irreversible is written down before it begins, and read', () => {
  const folder = newNode();
  const failed = run(folder, { irreversible: true, expand: 'cat ../../.sluice/irreversible; exit 3' }, null);
  expect(failed).toMatchObject({ status: 3, stdout: `${one}\n` });
  expect(look(folder).irreversible).toEqual([one]);
  expect(run(folder, { irreversible: true }, null).result).toMatchObject({
    isIrreversible: true,
    output: '',
  });
  // As a run that lost the reply does.
  expect(run(folder, { irreversible: true }, null).result.isIrreversible).toBe(true);
});

test('a command in the release says by its status whether it is irreversible, and any other stops the migration', () => {
  const folder = newNode();
  const asked = (status: number) =>
    run(folder, { irreversible: `exit ${status}`, expand: 'touch ran' }, null);
  expect(asked(7)).toMatchObject({ status: 7 });
  expect([folder.exists(`releases/${one}/ran`), look(folder).once, look(folder).irreversible]).toEqual([
    false,
    [],
    [],
  ]);
  expect(asked(1).result.isIrreversible).toBe(false);
  expect(folder.exists(`releases/${one}/ran`)).toBe(true);
  const other = newNode();
  expect(run(other, { irreversible: 'test -d .' }, null).result.isIrreversible).toBe(true);
});

test('a backup is for its owner alone, stands in the record of its release, and goes with it', () => {
  const folder = newNode();
  const made = run(folder, null, { command: 'echo dumping; echo data > "$SLUICE_BACKUP.sql"' });
  const file = `${folder.dir}/backups/${one}.sql`;
  expect(made.result).toMatchObject({ backup: file, output: 'dumping\n' });
  expect(look(folder).releases).toMatchObject([{ id: one, backup: file }]);
  expect([statSync(file).mode & 0o077, statSync(join(folder.dir, 'backups')).mode & 0o077]).toEqual([0, 0]);
  expect(run(folder, null, { command: 'false' }).result.backup).toBe(file);
  folder.run(removeReleases(folder.fence(), [one]));
  expect(folder.list('backups')).toEqual([]);
});

test('a backup without a file is named by its last line', () => {
  const folder = newNode();
  expect(run(folder, null, { command: 'echo busy; echo snap-42' }).result.backup).toBe('snap-42');
});

test.each([
  ['leaves nothing', 'true'],
  ['leaves an empty file', ': > "$SLUICE_BACKUP"; echo done'],
  ['fails half-way', 'echo half > "$SLUICE_BACKUP"; exit 2'],
])('a backup that %s is none, and may be tried again', (_how, command) => {
  const folder = newNode();
  expect(run(folder, null, { command }).status).not.toBe(0);
  expect(look(folder).once).toEqual([]);
  expect(run(folder, null, { command: 'echo all > "$SLUICE_BACKUP"' }).result.backup).toBe(
    `${folder.dir}/backups/${one}`,
  );
});
