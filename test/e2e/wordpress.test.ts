import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTrafficProcess } from '../../src/sandbox/traffic-process.ts';
import { type CliResult, startCli } from '../lab/cli.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { type MariaDb, startMariaDb } from '../lab/mariadb.ts';
import type { LabNode } from '../lab/nodes.ts';
import { deployUser, sshPort } from '../lab/nodes.ts';
import { patience } from '../lab/patience.ts';
import { instructionsOf } from '../lab/read-along.ts';
import { createRepository, type Repository } from '../lab/repository.ts';
import { onNode } from '../lab/ssh.ts';

/** A copy of each of these is a node's own: nothing that the README has written reaches the machine. */
const own = ['/etc/haproxy', '/etc/nginx', '/etc/php', '/etc/sudoers.d', '/var/log'];
const example = fileURLToPath(new URL('../../examples/wordpress/', import.meta.url));

let lab: Lab;
let database: MariaDb;
let repository: Repository;
let folder: string;
beforeAll(async () => {
  lab = await startLab({ nodes: 3, own });
  folder = join(lab.folder, 'blog');
  database = await startMariaDb(store());
  const readme = instructionsOf(await readFile(join(example, 'README.md'), 'utf8')).map((one) => ({
    ...one,
    text: inLab(one.text),
  }));
  await database.query(readme.find(({ file }) => file?.endsWith('.sql'))!.text);
  for (const { heading, file, text } of readme)
    for (const machine of machines(heading))
      await (file === null ? type(machine, text) : write(machine, file, text));
  repository = await wordpress();
  const config = await readFile(join(example, 'sluice.config.yaml'), 'utf8');
  await writeFile(join(folder, 'sluice.config.yaml'), configInLab(config));
});
afterAll(async () => {
  await database?.stop();
  await lab?.stop();
});

const web = (): readonly LabNode[] => lab.nodes.slice(0, 2);
const lb = (): LabNode => lab.nodes[2]!;
const network = (): string => lab.nodes[0]!.address.replace(/\d+$/, '');
const store = (): string => `${network()}20`;

/** The addresses of the lab, whose machines share one network stack, in place of those of the example. */
const inLab = (text: string): string =>
  text
    .replaceAll('blog.example.org', lb().address)
    .replaceAll('10.0.0.%', '%')
    .replaceAll('10.0.0.[11:12]', `${network()}[1:2]`)
    .replace(/10\.0\.0\.(\d+)/g, (_, last: string) => `${network()}${{ 10: 3, 11: 1, 12: 2 }[last] ?? last}`)
    .replace('bind :80', `bind ${lb().address}:80`);

/**
 * The lab's kernel mounts no NFS: one directory, bound into both nodes, stands for it, which no check takes for shared.
 * That the example's NFS is taken for it, `shared-storage.test.ts` shows.
 */
const configInLab = (text: string): string =>
  inLab(text)
    .replace(/git: .*/, `git: ${repository.folder}`)
    .replace('ssh: { user: deploy }', `ssh: { user: deploy, port: ${sshPort} }`)
    .replace(/shared: \{ kind: nfs, linkedDirs: (.*) \}/, 'localDirs: $1');

const machines = (heading: string): readonly LabNode[] =>
  heading === 'On web1 and web2' ? web() : heading === 'On lb1' ? [lb()] : [];

async function write(machine: LabNode, file: string, text: string): Promise<void> {
  expect(file).toMatch(/^\/(etc\/(haproxy|nginx|php|sudoers\.d)|srv)\//);
  const listening = text.replace('listen 80;', `listen ${machine.address}:80;`);
  await machine.asRoot(`cat > '${file}' <<'END OF FILE'\n${listening}END OF FILE`);
}

/** Each line as it stands, but for those that would change the machine: what they are for is so in the lab, or done here. */
async function type(machine: LabNode, script: string): Promise<void> {
  await machine.asRoot(
    `${beforehand}\n${script.replace(/^(apt|adduser|echo .* >> \/etc\/fstab)\b.*/gm, '')}`.replace(
      /^mount (.*)$/m,
      `mount --bind ${await uploads()} $1`,
    ),
  );
}

async function uploads(): Promise<string> {
  const path = join(lab.folder, 'uploads');
  await mkdir(path, { recursive: true });
  await lab.nodes[0]!.asRoot(`chown ${deployUser.uid}:${deployUser.uid} ${path}`);
  return path;
}

/** What Debian does at boot, and adduser at lb1; and without systemd, its own scripts start and reload the servers. */
const beforehand = `
[ -d /run/php ] || {
  chown root:root /srv
  install -d -o www-data /run/php
  install -d -m 2775 -o haproxy -g haproxy /run/haproxy
  printf '%s\\n' '#!/bin/sh' 'PATH=/usr/sbin:/usr/bin:/sbin:/bin; action=$1; shift; for name do service "$name" "$action" || exit; done' > /run/systemctl
  chmod 755 /run/systemctl
  mount --bind /run/systemctl /usr/bin/systemctl
  group=$(sed 's/^haproxy:.*/&deploy/' /etc/group)
  echo "$group" > /etc/group
  echo '@includedir /etc/sudoers.d' >> /etc/sudoers
}`;

/** Debian's WordPress, with a theme and an event of the site's own. */
async function wordpress(): Promise<Repository> {
  const path = join(lab.folder, 'wordpress');
  await cp('/usr/share/wordpress', path, { recursive: true, dereference: true });
  for (const file of ['wp-config.php', '.htaccess']) await rm(join(path, file), { force: true });
  for (const file of ['up.php', 'migrate.php']) await cp(join(example, file), join(path, file));
  const made = await createRepository(path, []);
  for (const tag of ['v1', 'v2', 'v3'])
    await made.commit(
      {
        'wp-content/themes/blog/style.css': '/* Theme Name: Blog */',
        'wp-content/themes/blog/index.php': `<?php wp_head(); echo get_option('blogname'), ' ${tag} end';`,
        'wp-content/mu-plugins/events.php':
          "<?php add_action('blog_event', fn () => update_option('blog_events', get_option('blog_events', 0) + 1));",
      },
      tag,
    );
  await mkdir(folder);
  return made;
}

const sluice = (...args: readonly string[]): Promise<CliResult> =>
  startCli(args, { cwd: folder, home: lab.home }).ended;

async function done(...args: readonly string[]): Promise<CliResult> {
  const result = await sluice(...args);
  expect(result.exit, result.output).toBe(0);
  return result;
}

/** PHP in the live release of web1, with WordPress loaded. */
const php = (code: string): Promise<string> =>
  onNode(lab, web()[0]!, `cd /srv/blog/current && php -r 'require "wp-load.php"; ${code}'`);

const get = (path: string, node: LabNode = lb()): Promise<Response> =>
  fetch(`http://${node.address}${path}`, { headers: { host: lb().address }, redirect: 'manual' });

const crontabs = (): Promise<readonly string[]> =>
  Promise.all(web().map((node) => readFile(node.crontab, 'utf8').catch(() => '')));

test('the README leads to a blog that is deployed and rolled back under traffic without one failed request', async () => {
  await done('check', 'production');
  await done('deploy', 'production', '--ref', 'v1', '--yes');
  await expect.poll(async () => (await get('/up.php')).status, patience).toBe(200);

  const readme = await readFile(join(example, 'README.md'), 'utf8');
  const setPassword = instructionsOf(readme).find(({ heading }) => heading === 'The first release')!.text;
  await onNode(lab, web()[0]!, `echo 'correct horse' | (${setPassword})`);
  const login = await fetch(`http://${lb().address}/wp-login.php`, {
    method: 'POST',
    body: new URLSearchParams({ log: 'admin', pwd: 'correct horse' }),
    redirect: 'manual',
  });
  expect([login.status, login.headers.get('location')]).toEqual([302, `http://${lb().address}/wp-admin/`]);
  const upload = await php('switch_theme("blog"); echo wp_upload_bits("cat.txt", null, "a cat")["url"];');
  await php('wp_schedule_single_event(time() - 1, "blog_event");');

  const { pathname } = new URL(upload);
  const paths = ['/', '/wp-login.php', pathname];
  const traffic = await startTrafficProcess({
    url: `http://${lb().address}`,
    workers: 3,
    paths,
    lateMs: 20_000,
    pauseMs: 100,
  });
  for (const tag of ['v2', 'v3']) {
    const { output } = await done('deploy', 'production', '--ref', tag, '--yes');
    expect(output).toContain('backup before the migration: /srv/blog/backups/');
    for (const node of web()) expect(await (await get('/', node)).text()).toMatch(new RegExp(`${tag} end$`));
  }
  await done('rollback', 'production', '--yes');
  const report = await traffic.stop();
  console.log(`${report.requests} requests, ${report.failed} failed`);
  expect(report).toMatchObject({ failures: [], failed: 0 });
  expect(report.requests).toBeGreaterThan(100);

  for (const node of web()) {
    expect(await (await get('/up.php', node)).text()).toBe(await repository.revision('v2'));
    expect(await (await get(pathname, node)).text()).toBe('a cat');
    for (const path of ['/REVISION', '/migrate.php']) expect((await get(path, node)).status).toBe(403);
  }

  const [first = '', second] = await crontabs();
  expect([first, second]).toEqual([expect.stringContaining('wp-cron.php'), '']);
  expect(await php('echo get_option("blog_events", 0);')).toBe('0');
  const line = first.split('\n').find((text) => text.startsWith('*/5'))!;
  await onNode(lab, web()[0]!, line.split(' ').slice(5).join(' '));
  expect(await php('echo get_option("blog_events", 0);')).toBe('1');

  await done('maintenance', 'production', 'on', '--reason', 'moving the database');
  const closed = await get('/wp-login.php');
  expect([closed.status, closed.headers.get('retry-after')]).toEqual([503, '300']);
  expect((await get('/up.php')).status).toBe(200);
  await done('maintenance', 'production', 'off');
  expect((await get('/')).status).toBe(200);
});
