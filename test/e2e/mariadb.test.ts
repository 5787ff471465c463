import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applicationFiles } from '../lab/application.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { type MariaDb, startMariaDb } from '../lab/mariadb.ts';
import { patience } from '../lab/patience.ts';
import { watchCommandLines } from '../lab/processes.ts';
import { onNode } from '../lab/ssh.ts';

const password = 'S3NT1NEL-of-the-shop';
let lab: Lab;
let database: MariaDb;
beforeAll(async () => {
  [lab, database] = await Promise.all([startLab({ nodes: 2 }), startMariaDb()]);
  await database.query(
    `create database shop; create user shop@localhost identified by '${password}'; grant all on shop.* to shop@localhost;` +
      'use shop; create table visit (id int primary key, who varchar(40) character set utf8mb4, face blob, unique key (who)) engine=innodb;' +
      "insert into visit select seq, concat('Zoë 🐈 ', seq), unhex(sha2(seq, 256)) from seq_1_to_40000",
  );
  for (const [tag, sql] of Object.entries(migrations))
    await lab.repository.commit({ ...applicationFiles({ tag }), 'expand.sql': sql }, tag);
});
afterAll(async () => {
  await database?.stop();
  await lab?.stop();
});

const migrations = {
  'schema-1': '',
  'schema-2': "alter table visit add column page text; update visit set page = 'home';",
  'bad-schema': 'alter table nowhere add page text;',
};

const rowsOf = (name: string, table = 'visit'): Promise<readonly string[]> =>
  database.query(`select id, hex(who), hex(face) from ${name}.${table} order by id`);

/** A dump lasts until the table is let go, as long as it takes to see it. */
async function holdTable(): Promise<() => void> {
  const words = ['--no-defaults', `--socket=${database.socket}`, '--user=root', '--unbuffered'];
  const client = spawn('mariadb', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  client.stdin.write("lock tables shop.visit write; select 'held';\n");
  await once(client.stdout, 'data');
  return () => void client.stdin.end();
}

test('a migration of MariaDB runs once after a dump that restores to the same rows; its password is seen nowhere', async () => {
  const site = await lab.site({ name: 'shop', nodes: 2, kind: 'files' });
  const [web1, web2] = site.nodes as [(typeof site.nodes)[0], (typeof site.nodes)[0]];
  await site.write(
    web1,
    'shared/database.cnf',
    `[client]\nsocket=${database.socket}\nuser=shop\npassword=${password}\n`,
  );
  await chmod(site.path(web1, 'shared/database.cnf'), 0o600);
  await site.deployed('schema-1');
  const defaultsFile = '/srv/shop/shared/database.cnf';
  await site.configure({
    migrate: { expand: `mysql --defaults-extra-file=${defaultsFile} shop < expand.sql` },
    backup: { kind: 'mysqldump', database: 'shop', defaultsFile },
  });
  const before = await rowsOf('shop');
  const [withPassword, dumping] = [watchCommandLines(password), watchCommandLines('--single-transaction')];
  const letGo = await holdTable();
  const deploying = site.deploy('schema-2', '--verbose');
  const found = () => dumping.found().filter((line) => line.includes('/srv/shop/'));
  await expect
    .poll(found, { ...patience, timeout: 60_000 })
    .not.toEqual([])
    .finally(letGo);
  const done = await deploying;
  expect(done.exit, done.output).toBe(0);
  const release = await site.release();
  expect(await database.query('select distinct page from shop.visit')).toEqual(['home']);

  const dump = site.path(web1, 'backups', `${release}.sql.gz`);
  expect((await stat(dump)).mode & 0o077).toBe(0);
  expect(done.output).toContain(`backup before the migration: /srv/shop/backups/${release}.sql.gz on web1`);
  await database.query('create database again');
  const restore = `gunzip --stdout ${dump} | mariadb --no-defaults --socket=${database.socket} --user=root again`;
  await promisify(execFile)('sh', ['-c', restore]);
  expect(await rowsOf('again')).toEqual(before);
  expect(before).toHaveLength(40_000);
  expect(await database.query("show columns from again.visit like 'page'")).toEqual([]);

  const failed = await site.deploy('bad-schema', '--verbose');
  expect(failed.exit, failed.output).toBe(1);
  expect(failed.output).toMatch(/Table 'shop.nowhere' doesn't exist/);
  expect(Object.values(await site.live())).toEqual([release, release]);

  expect((await dumping.stop()).join('\n')).toMatch(
    /mysqldump --defaults-extra-file=\S+ --single-transaction/,
  );
  expect(await withPassword.stop()).toEqual([]);
  expect(done.output + failed.output).not.toContain(password);
  for (const node of [web1, web2])
    expect(await onNode(lab, node, `grep -rlF '${password.slice(0, 9)}' /srv/shop --include='*' || :`)).toBe(
      node === web1 ? `${defaultsFile}\n` : '',
    );
});

test('a dump that cannot be made stops the deploy, and leaves nothing that passes for one', async () => {
  const site = await lab.site({ name: 'undumped', nodes: 2, kind: 'files' });
  await site.deployed('schema-1');
  const first = await site.release();
  await site.configure({
    migrate: { expand: 'touch /srv/undumped/migrated' },
    backup: {
      kind: 'mysqldump',
      database: 'shop',
      options: [`--socket=${database.socket}`, '--user=nobody'],
    },
  });
  const { exit, output } = await site.deploy('schema-2');
  expect(exit, output).toBe(1);
  expect(output).toMatch(/Access denied for user 'nobody'@'localhost'/);
  const [web1] = site.nodes;
  expect(await readFile(join(site.path(web1!), 'migrated'), 'utf8').catch(() => null)).toBeNull();
  expect(output).not.toContain('backup before the migration');
  expect(Object.values(await site.live())).toEqual([first, first]);
});
