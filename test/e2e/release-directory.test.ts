import { execFile } from 'node:child_process';
import { lstat, mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { patience } from '../lab/patience.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite } from '../lab/site.ts';
import { treeOf } from '../lab/snapshot.ts';
import { onNode } from '../lab/ssh.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
});
afterAll(() => lab?.stop());

const files = (name: string, settings = {}): Promise<LabSite> =>
  lab.site({ name, nodes: 1, kind: 'files', settings });

test('S01: a cold start creates the layout, and a second run changes nothing', async () => {
  const site = await lab.site({
    name: 's01',
    nodes: 3,
    kind: 'files',
    isSetUp: false,
    settings: {
      linkedDirs: ['public/uploads', 'log'],
      localDirs: ['public/uploads'],
      linkedFiles: ['config/app.env'],
    },
  });
  const first = await site.sluice('check', 'production');
  expect(first.output).toContain('/srv/s01/shared/config/app.env is missing');
  for (const node of site.nodes) {
    expect(await readdir(site.path(node))).toEqual(expect.arrayContaining(['releases', 'shared']));
    for (const path of ['shared/public/uploads', 'shared/log', 'shared/config'])
      expect((await lstat(site.path(node, path))).isDirectory()).toBe(true);
    expect(await site.current(node)).toBeNull();
    await site.write(node, 'shared/config/app.env', 'x=1\n');
  }

  expect(await site.sluice('check', 'production')).toMatchObject({ exit: 0 });
  const before = await Promise.all(site.nodes.map((node) => treeOf(site.path(node))));
  expect(await site.sluice('check', 'production')).toMatchObject({ exit: 0 });
  expect(await Promise.all(site.nodes.map((node) => treeOf(site.path(node))))).toEqual(before);
});

test('S02: a missing linked file stops a deploy before any release is made', async () => {
  const site = await lab.site({ name: 's02', nodes: 3, settings: { linkedFiles: ['.env', 'key.pem'] } });
  for (const node of site.nodes.slice(0, 2)) await site.write(node, 'shared/key.pem', 'secret');
  const told = await site.balancer!.told();

  const refused = await site.deploy('good-1');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/web3: linked file \/srv\/s02\/shared\/key\.pem is missing/);
  expect(refused.output).not.toMatch(/web[12]: linked file/);
  for (const node of site.nodes) expect(await site.releases(node)).toEqual([]);
  expect(await site.balancer!.told()).toEqual(told);
  expect(await site.locked()).toEqual([]);

  await site.write(site.node('web3'), 'shared/key.pem', 'secret');
  expect(await site.deploy('good-1')).toMatchObject({ exit: 0 });
});

test('S04: a deploy publishes a release and records it', async () => {
  const site = await lab.site({ name: 's04', nodes: 3 });
  const startMs = Date.now();
  const { exit, output } = await site.deploy('good-1');
  expect(exit, output).toBe(0);

  const release = await site.release();
  const revision = await lab.repository.revision('good-1');
  expect(release).toMatch(/^\d{14}$/);
  expect(release >= stamp(startMs) && release <= stamp(Date.now())).toBe(true);
  for (const node of site.nodes) {
    expect(await site.releases(node)).toEqual([release]);
    expect(await site.read(node, 'releases', release, 'REVISION')).toBe(`${revision}\n`);
    const time = Number(await site.read(node, 'releases', release, 'REVISION_TIME'));
    expect(Math.abs(time * 1000 - startMs)).toBeLessThan(60 * 60_000);
    expect(await site.log(node)).toEqual([
      expect.stringMatching(
        new RegExp(`^Branch good-1 \\(at ${revision}\\) deployed as release ${release} by \\S+@\\S+$`),
      ),
    ]);
    expect(await site.ask(node)).toMatchObject({ status: 200, body: expect.stringContaining(revision) });
  }
  expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP', web3: 'UP' });
  expect(output).toContain(release);
});

test('S05: a linked path is a link in the release, and what is shared stays as it was', async () => {
  const repository = await createRepository(join(lab.folder, 's05-repository'), [{ tag: 'v1' }], {
    'uploads/from-the-repository.txt': 'from the repository',
    'config/app.env': 'from the repository',
  });
  const linked = { linkedDirs: ['log', 'tmp', 'uploads'], linkedFiles: ['.env', 'config/app.env'] };
  const site = await lab.site({ name: 's05', nodes: 1, kind: 'files', repository, settings: linked });
  const node = site.node('web1');
  await site.write(node, 'shared/uploads/cat.jpg', 'a cat');
  await site.write(node, 'shared/config/app.env', 'the real one');
  const before = await treeOf(site.path(node, 'shared'));

  const release = await site.deployed('v1');
  expect(await onNode(lab, node, 'cd /srv/s05/current && readlink uploads config/app.env')).toBe(
    '/srv/s05/shared/uploads\n/srv/s05/shared/config/app.env\n',
  );
  expect(await onNode(lab, node, 'cat /srv/s05/current/uploads/cat.jpg')).toBe('a cat');
  expect(await treeOf(site.path(node, 'shared'))).toEqual(before);
  expect(await site.read(node, 'releases', release, 'version')).toBe('v1\n');
});

test('S06: a directory of uploads in the live release is not lost when it becomes a linked directory', async () => {
  const site = await files('s06');
  const node = site.node('web1');
  const first = await site.deployed('good-1');
  await site.write(node, `releases/${first}/uploads/cat.jpg`, 'a cat');

  await site.configure({ linkedDirs: ['log', 'tmp', 'uploads'] });
  const refused = await site.deploy('good-2');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/current\/uploads is a real directory with 1 file/);
  expect(refused.output).toContain('/srv/s06/shared/uploads');
  expect(await site.current(node)).toBe(first);
  expect(await site.read(node, `releases/${first}/uploads/cat.jpg`)).toBe('a cat');

  await onNode(
    lab,
    node,
    'mkdir -p /srv/s06/shared/uploads && cp -a /srv/s06/current/uploads/. /srv/s06/shared/uploads/',
  );
  await site.deployed('good-2');
  expect(await onNode(lab, node, 'cat /srv/s06/current/uploads/cat.jpg')).toBe('a cat');
});

test('S08: a directory where `current` should be is refused and stays untouched', async () => {
  const site = await files('s08');
  const node = site.node('web1');
  await site.write(node, 'current/index.html', 'made by hand');
  const before = await treeOf(site.path(node));

  const refused = await site.deploy('good-1');
  expect(refused.exit).toBe(2);
  expect(refused.output).toContain('/srv/s08/current is a real file or directory');
  expect(await treeOf(site.path(node))).toEqual(before);
});

test('S09: whoever opens current/version while 20 deploys pass always finds it', async () => {
  const tags = Array.from({ length: 21 }, (_, index) => `v${index}`);
  const repository = await createRepository(
    join(lab.folder, 's09-repository'),
    tags.map((tag) => ({ tag })),
  );
  const site = await lab.site({ name: 's09', nodes: 1, kind: 'files', repository });
  const node = site.node('web1');
  await site.deployed('v0');
  await site.write(node, 'reader.cjs', readerProgram);
  const reader = onNode(lab, node, 'cd /srv/s09 && exec nice -n 10 /opt/node reader.cjs');

  // It may be given no time for as long as a deploy takes.
  const noticed = (tag: string) =>
    expect.poll(() => site.read(node, 'seen'), { ...patience, timeout: 60_000 }).toContain(`${tag}\n`);
  await noticed('v0');
  for (const tag of tags.slice(1)) {
    await site.deployed(tag);
    await noticed(tag);
  }
  await site.write(node, 'stop', '');
  const { reads, errors, seen } = JSON.parse(await reader);
  expect(errors).toEqual([]);
  expect(reads).toBeGreaterThan(10_000);
  expect(seen).toEqual(tags);
});

const readerProgram = `
const { appendFileSync, existsSync, readFileSync } = require('node:fs');
const seen = new Set(), errors = [];
let reads = 0;
for (const endMs = Date.now() + 300_000; Date.now() < endMs && !existsSync('stop'); reads += 500)
  for (let n = 0; n < 500; n++)
    try {
      const version = readFileSync('current/version', 'utf8');
      if (!seen.has(version)) appendFileSync('seen', version);
      seen.add(version);
    } catch (error) { errors.push(error.message); }
console.log(JSON.stringify({ reads, errors: errors.slice(0, 5), seen: [...seen].map((version) => version.trim()) }));
`;

test('S10: only good releases count among those that are kept', async () => {
  const repository = await createRepository(join(lab.folder, 's10-repository'), [
    ...['good-1', 'good-2', 'good-3'].map((tag) => ({ tag })),
    ...['bad-1', 'bad-2', 'bad-3'].map((tag) => ({ tag, health: 500 })),
    ...['bad-4', 'bad-5', 'bad-6'].map((tag) => ({ tag, restart: 1 })),
    { tag: 'good-4' },
  ]);
  const settings = { keepReleases: 3, servingMin: 0 };
  const site = await lab.site({ name: 's10', nodes: 1, repository, settings });
  const node = site.node('web1');
  const good = [await site.deployed('good-1'), await site.deployed('good-2'), await site.deployed('good-3')];
  await site.configure({ checks: site.checks({ timeout: '4s' }) });
  for (let n = 1; n <= 6; n++) expect(await site.deploy(`bad-${n}`)).toMatchObject({ exit: 1 });
  await site.configure({});
  expect(await site.current(node)).toBe(good[2]);
  const newest = await site.deployed('good-4');
  expect(await site.releases(node)).toEqual([good[1], good[2], newest]);
});

test('S11: the live release survives the cleanup, however old it is', async () => {
  const tags = ['oldest', 'later-1', 'later-2', 'later-3', 'later-4', 'later-5', 'newest'].map((tag) => ({
    tag,
  }));
  const repository = await createRepository(join(lab.folder, 's11-repository'), tags);
  const site = await lab.site({
    name: 's11',
    nodes: 1,
    kind: 'files',
    repository,
    settings: { keepReleases: 7 },
  });
  const node = site.node('web1');
  const oldest = await site.deployed('oldest');
  const newer: string[] = [];
  for (let n = 1; n <= 5; n++) newer.push(await site.deployed(`later-${n}`));
  expect(await site.rollback('--to', oldest)).toMatchObject({ exit: 0 });

  await site.configure({ keepReleases: 2 });
  const newest = await site.deployed('newest');
  expect(await site.releases(node)).toEqual([oldest, newest]);
  expect(await site.rollback()).toMatchObject({ exit: 0 });
  expect(await site.current(node)).toBe(oldest);
});

test('S14: a release that cannot be deleted is a warning, not a failed deploy', async () => {
  const site = await files('s14', { keepReleases: 2 });
  const node = site.node('web1');
  const first = await site.deployed('good-1');
  // What root owns in a directory of root's, the deploy user cannot delete.
  await mkdir(site.path(node, 'releases', first, 'cache'));
  await writeFile(site.path(node, 'releases', first, 'cache/page.html'), 'written by another user');
  await site.deployed('good-2');

  const run = await site.deploy('good-3');
  expect(run.exit, run.output).toBe(0);
  expect(run.output).toMatch(new RegExp(`release ${first} could not be deleted: .*cache/page\\.html`));
  expect(await site.current(node)).not.toBe(first);
  expect(await site.locked()).toEqual([]);
  expect(await site.deploy('good-4')).toMatchObject({ exit: 0 });
});

test('S21: the order of releases is that of their names, not of their times', async () => {
  const site = await files('s21', { keepReleases: 3 });
  const node = site.node('web1');
  const [a, b, c] = [
    await site.deployed('good-1'),
    await site.deployed('good-2'),
    await site.deployed('good-3'),
  ];
  const ages = { [a]: 1, [b]: 3, [c]: 2 };
  for (const [id, age] of Object.entries(ages))
    await utimes(
      site.path(node, 'releases', id),
      new Date(Date.now() - age * 1e7),
      new Date(Date.now() - age * 1e7),
    );

  expect(await site.rollback()).toMatchObject({ exit: 0 });
  expect(await site.current(node)).toBe(b);
  await promisify(execFile)('touch', ['-d', '2001-01-01', site.path(node, 'releases', c)]);
  expect(await site.rollback('--to', c)).toMatchObject({ exit: 0 });
  const d = await site.deployed('good-4');
  expect(await site.releases(node)).toEqual([b, c, d]);
});

const stamp = (ms: number): string => new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14);
