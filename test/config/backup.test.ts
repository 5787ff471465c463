import { expect, test } from 'vitest';
import type { Site } from '../../src/core/site.ts';
import { problemsWith, siteWith } from './parsing.ts';

const commandOf = ({ hooks: [hook] }: Site): unknown =>
  hook?.action.kind === 'nodes' ? hook.action.command : null;

test('what the settings hold reaches the shell as arguments', () => {
  const backup = { kind: 'mysqldump', database: "shop'; rm", defaultsFile: '/etc/shop.cnf' };
  expect(commandOf(siteWith({ backup }))).toEqual([
    'sh',
    '-c',
    'mysqldump "$@" > "$SLUICE_BACKUP.sql" && gzip "$SLUICE_BACKUP.sql"',
    'sh',
    '--defaults-extra-file=/etc/shop.cnf',
    '--single-transaction',
    '--quick',
    "shop'; rm",
  ]);
  expect(
    commandOf(siteWith({ backup: { kind: 'pg_dump', database: 'shop', options: ['--verbose'] } })),
  ).toEqual([
    'sh',
    '-c',
    'pg_dump "$@" --file="$SLUICE_BACKUP.dump"',
    'sh',
    '--no-password',
    '--format=custom',
    '--verbose',
    '--dbname=shop',
  ]);
  expect(commandOf(siteWith({ backup: { kind: 'command', run: ['snap', 'db'] } }))).toEqual(['snap', 'db']);
});

test('migrate and backup name a role that a node has, and take their names from no hook', () => {
  expect(
    problemsWith({
      migrate: { expand: 'bin/migrate', role: 'db', irreversible: 'yes' },
      backup: { kind: 'command', run: 'dump', role: 'db' },
      hooks: { 'after:prepare': [{ run: 'true', name: 'expand' }] },
    }),
  ).toEqual([
    'migrate.role: no node has the role db; they have nothing',
    'backup.role: no node has the role db; they have nothing',
    'hooks["after:prepare"][0].name: expand is the name of what migrate or backup does',
  ]);
  expect(problemsWith({ migrate: { expand: 'true', irreversible: 3 } })).toEqual([
    "migrate.irreversible: expected true or false, or a command (a list such as ['npm', 'ci'], or a text for sh -c), got 3",
  ]);
});

test('maintenance has all of its commands or none', () => {
  const problem = problemsWith({ maintenance: { when: 'always', on: 'down', isOn: 'test -e down' } });
  expect(problem).toEqual(['maintenance: expected on, off and isOn together, got only on and isOn']);
  expect(siteWith({ maintenance: { when: 'always' } }).maintenance).toEqual({
    when: 'always',
    commands: null,
  });
  const commands = { on: 'down', off: 'up', isOn: 'test -e down' };
  expect(siteWith({ maintenance: commands }).maintenance).toEqual({ when: 'asked', commands });
  expect(siteWith({}).maintenance).toBeNull();
});
