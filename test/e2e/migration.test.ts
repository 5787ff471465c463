import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applicationFiles } from '../lab/application.ts';
import { type Database, startDatabase } from '../lab/database.ts';
import { nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabSite, Settings } from '../lab/site.ts';

let lab: Lab;
let database: Database;
beforeAll(async () => {
  lab = await startLab({ nodes: 8 });
  database = await startDatabase();
  for (const [tag, expand] of Object.entries(migrations))
    await lab.repository.commit({ ...applicationFiles({ tag }), 'expand.sql': expand }, tag);
});
afterAll(async () => {
  await database?.stop();
  await lab?.stop();
});

const migrations = {
  'schema-1': '',
  'schema-2': 'alter table visit add if not exists page text;',
  'bad-schema': 'alter table nowhere add page text;',
};

/** Each part counts itself, with the node that it ran on and how many nodes had the release then. */
const psql = (...words: readonly string[]): string =>
  ['psql', ...database.words, '-Xq', '-v', 'ON_ERROR_STOP=1', ...words].join(' ');
const counted = (part: string): string =>
  `insert into ran values ('${part}', '$SLUICE_RELEASE', (select count(*) from live where release = '$SLUICE_RELEASE'))`;

const migrating = (more: Settings = {}): Settings => ({
  migrate: {
    expand: `${psql('-c', `"${counted('expand')}"`)} && ${psql('-1', '-f', 'expand.sql')}`,
    contract: psql('-c', `"${counted('contract')}"`),
    irreversible: false,
    role: 'db',
    ...more,
  },
  backup: { kind: 'pg_dump', database: database.connection, role: 'db' },
});

const withRoles = (site: LabSite, of: string): readonly Settings[] =>
  site.nodes.map(({ name, address }) => ({ name, address, roles: name === of ? ['db'] : ['web'] }));

async function freshTables(): Promise<void> {
  await database.query(
    'drop table if exists ran, live, visit; create table ran (part text, release text, live int); create table live (node text, release text); create table visit (id int)',
  );
}

/** Tells the database that the node has the release. */
const countLive = (): readonly string[] => [
  'sh',
  '-c',
  psql('-c', `"insert into live values ('$(hostname)', '$(basename $(pwd -P))')"`),
];

test('S55, S56: eight nodes in batches of two migrate once, after a dump; one that fails leaves the old release serving', async () => {
  await freshTables();
  const site = await lab.site({ name: 's55', nodes: 8 });
  const settings = {
    nodes: withRoles(site, 'web3'),
    strategy: { name: 'rolling', batch: 2 },
    activate: [['bin/restart'], countLive()],
  };
  await site.configure({ ...settings, strategy: 'all-at-once', servingMin: 0 });
  const first = await site.deployed('schema-1');
  await site.configure({ ...settings, ...migrating() });

  const { exit, output } = await site.deploy('schema-2');
  expect(exit, output).toBe(0);
  const second = await site.release();
  expect(await database.query('select part, release, live from ran order by live')).toEqual([
    `expand|${second}|0`,
    `contract|${second}|8`,
  ]);
  const dump = site.path(site.node('web3'), 'backups', `${second}.dump`);
  expect((await stat(dump)).mode & 0o077).toBe(0);
  expect(output).toContain(`backup before the migration: /srv/s55/backups/${second}.dump on web3`);
  expect((await site.sluice('releases', 'production')).output).toContain(`backups/${second}.dump on web3`);
  // Made before the column was added.
  const { stdout } = await promisify(execFile)('pg_restore', ['--schema-only', '--table=visit', '-f-', dump]);
  expect(stdout).toMatch(/CREATE TABLE \S*visit/);
  expect(stdout).not.toContain('page');

  const failed = await site.deploy('bad-schema', '--json');
  expect(failed.exit, failed.output).toBe(1);
  expect(failed.output).toMatch(/relation \S*nowhere\S* does not exist/);
  expect(nodesOfSteps(failed, 'drain')).toEqual([]);
  expect(Object.values(await site.served())).toEqual(Array(8).fill(second));
  expect(await site.locked()).toEqual([]);
  expect(await database.query("select count(*) from ran where part = 'expand'")).toEqual(['2']);
  expect(first < second).toBe(true);
});

test('a schema is contracted only once the last node has the release', async () => {
  await freshTables();
  const site = await lab.site({ name: 'contract', nodes: 2, kind: 'files' });
  await site.deployed('schema-1');
  await site.configure({ ...migrating(), nodes: withRoles(site, 'web1') });
  const part = await site.deploy('schema-2', '--nodes', 'web1');
  expect(part.exit, part.output).toBe(0);
  expect(part.output).toContain('The schema is not contracted yet: web2 does not have');
  expect(await database.query('select part from ran')).toEqual(['expand']);
  const whole = await site.deployed('schema-2');
  expect(await site.deploy('schema-2')).toMatchObject({ exit: 0 });
  expect(await database.query("select release from ran where part = 'contract'")).toEqual([whole]);
});

test('S58: maintenance mode that an operator set stays on, ours is lifted, and stays on where a migration failed', async () => {
  await freshTables();
  const site = await lab.site({ name: 's58', nodes: 2, kind: 'files' });
  await site.deployed('schema-1');
  await site.configure({ ...migrating(), nodes: withRoles(site, 'web1') });
  const file = (name: string): Promise<string | null> => site.read(site.node(name), 'maintenance');
  await site.write(site.node('web2'), 'maintenance', 'moving house\n');

  const done = await site.deploy('schema-2', '--maintenance');
  expect(done.exit, done.output).toBe(0);
  expect(done.output).toContain('An operator set maintenance mode on web2: it is still on.');
  expect([await file('web1'), await file('web2')]).toEqual([null, 'moving house\n']);

  const failed = await site.deploy('bad-schema', '--maintenance');
  expect(failed.exit, failed.output).toBe(1);
  expect(failed.output).toContain('Maintenance mode stays on, on web1:');
  expect(await file('web1')).toBe('sluice\n');
  await site.deployed('schema-1');
  expect([await file('web1'), await file('web2')]).toEqual([null, 'moving house\n']);
});

test('S58: maintenance mode set by hand outlives deploys that are always in it, and ends by hand alone', async () => {
  const site = await lab.site({ name: 'byhand', nodes: 2, kind: 'files' });
  await site.configure({ maintenance: { when: 'always' } });
  const both = ['web1', 'web2'];
  const files = () => Promise.all(site.nodes.map((node) => site.read(node, 'maintenance')));
  const always = await site.deploy('schema-1', '--json');
  expect(always.exit, always.output).toBe(0);
  expect(nodesOfSteps(always, 'maintenance')).toEqual([both, both]);
  expect(nodesOfSteps(await site.deploy('schema-2', '--no-maintenance', '--json'), 'maintenance')).toEqual(
    [],
  );
  expect(await files()).toEqual([null, null]);

  const on = await site.sluice('maintenance', 'production', 'on', '--reason', 'moving house');
  expect(on.exit, on.output).toBe(0);
  expect(on.output).toContain('until: sluice maintenance production off');
  await site.deployed('schema-1');
  expect((await site.rollback()).exit).toBe(0);
  expect((await files()).map((text) => text?.trim())).toEqual(Array(2).fill(expect.stringMatching(byWhom)));
  const { output } = await site.sluice('status', 'production');
  expect(output).toMatch(
    /web2 is in maintenance mode since \d{4}-\S+Z, set by an operator \(\S+: moving house\)/,
  );
  const history = await site.sluice('history', 'production');
  expect(history.output).toContain('maintenance on by hand: moving house by ');

  expect(await site.sluice('maintenance', 'production', 'off')).toMatchObject({ exit: 0 });
  expect(await files()).toEqual([null, null]);
  expect((await site.sluice('status', 'production')).output).not.toContain('maintenance');
});

const byWhom = /^\S+@\S+: moving house$/;

test('S23: a rollback across an irreversible migration is refused, and recorded where a person insists', async () => {
  await freshTables();
  const site = await lab.site({ name: 's23', nodes: 2, kind: 'files' });
  const first = await site.deployed('schema-1');
  await site.configure({
    ...migrating({ irreversible: ['test', '-e', 'expand.sql'] }),
    nodes: withRoles(site, 'web2'),
  });
  const second = await site.deployed('schema-2');

  const refused = await site.rollback();
  expect(refused.exit).toBe(2);
  expect(refused.output).toContain(`the migration of release ${second} is irreversible`);
  expect(Object.values(await site.live())).toEqual([second, second]);
  const forced = await site.rollback('--across-irreversible');
  expect(forced.exit, forced.output).toBe(0);
  expect(Object.values(await site.live())).toEqual([first, first]);
  const { output } = await site.sluice('history', 'production');
  expect(output).toContain(`across the irreversible migration of ${second}`);
});

test('a node that fails after an irreversible migration is not brought back: the run is held, and abort refuses', async () => {
  await freshTables();
  const site = await lab.site({ name: 'held', nodes: 2, kind: 'files' });
  const first = await site.deployed('schema-1');
  const settings = { ...migrating({ irreversible: true }), nodes: withRoles(site, 'web1') };
  await site.configure({ ...settings, hooks: { 'after:activate': [{ run: 'exit 1' }] } });
  const held = await site.deploy('schema-2');
  expect(held.exit, held.output).toBe(4);
  expect(held.output).toContain(`Release ${first} must not go live again`);
  const second = (await site.live()).web1!;
  expect(second > first).toBe(true);
  await site.configure(settings);
  expect(await site.sluice('abort', 'production', '--yes')).toMatchObject({ exit: 2 });
  expect(await site.sluice('promote', 'production', '--yes')).toMatchObject({ exit: 0 });
  expect(Object.values(await site.live())).toEqual([second, second]);
  expect(await database.query('select part from ran')).toEqual(['expand', 'contract']);
});
