import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applicationFiles } from '../lab/application.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { startMoto } from '../lab/moto.ts';
import { deployUser, type LabNode } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';
import { clients } from '../lab/watch.ts';

const port = 9090;
let lab: Lab;
let seed: LabNode;
let site: LabSite;

beforeAll(async () => {
  lab = await startLab({ nodes: 9 });
  seed = lab.nodes[8]!;
  await onNode(lab, seed, 'mkdir -p /srv/app/bin /srv/app/log /srv/app/tmp');
  const configure = "mkdir -p /srv/conf; echo 'workers 4' > /srv/conf/web.conf";
  await Promise.all(lab.nodes.map((node) => onNode(lab, node, configure)));
  site = await lab.site({
    name: 'seeded',
    nodes: 8,
    settings: {
      source: sourceOf(),
      strategy: { name: 'rolling', batch: '50%' },
      servingMin: 4,
      drift: { paths: ['/srv/conf'] },
    },
  });
});
afterAll(() => lab?.stop());

const sourceOf = (more: Readonly<Record<string, unknown>> = {}) => ({
  seed: {
    host: seed.address,
    path: '/srv/app',
    store: './images',
    build: ['sh build.sh', ['bin/restart']],
    checks: [{ path: '/', port, expect: 'version', interval: '100ms', timeout: '8s' }],
    ...more,
  },
});

/** An operator brings a version to the seed. */
async function changeSeed(version: Parameters<typeof applicationFiles>[0]): Promise<void> {
  for (const [path, text] of Object.entries(applicationFiles(version))) {
    await writeFile(join(seed.srv, 'app', path), text);
    await seed.asRoot(`chown ${deployUser.uid}:${deployUser.uid} '/srv/app/${path}'`);
  }
  const env = `HOST=${seed.address}\\nPORT=${port}\\nPASSWORD=of-the-seed\\n`;
  await onNode(
    lab,
    seed,
    `cd /srv/app; printf '${env}' > .env; echo tried > REVISION; chmod 755 bin/restart`,
  );
}

const imageNames = async (): Promise<readonly string[]> =>
  (JSON.parse((await site.sluice('seed', 'list', 'production', '--json')).stdout) as { name: string }[]).map(
    ({ name }) => name,
  );

test('an image of the seed rolls over eight nodes and back, without a failed request', async () => {
  await changeSeed({ tag: 'good-1' });
  const built = await site.sluice('seed', 'build', 'production');
  expect(built.exit, built.output).toBe(0);
  const first = await site.sluice('deploy', 'production', '--yes');
  expect(first.exit, first.output).toBe(0);
  const release = await site.release();

  await changeSeed({ tag: 'good-2' });
  expect((await site.sluice('seed', 'build', 'production')).exit).toBe(0);
  const [newest, oldest, ...others] = await imageNames();
  expect(others).toEqual([]);
  const different = await site.sluice('seed', 'diff', 'production', 'node:web2', 'newest');
  expect(different.stdout).toBe(
    `${'M built\nM settings.json\nM version\nM build.sh\n'.split('\n').sort().join('\n').trim()}\n`,
  );

  const traffic = await clients(site.balancer!, { rapid: 12, workers: 2, slowMs: 1000 });
  await sleep(500);
  const deployed = await site.sluice('deploy', 'production', '--yes');
  expect(deployed.exit, deployed.output).toBe(0);
  expect((await site.ask(site.node('web3'), '/'))?.body).toContain('version good-2');
  const back = await site.rollback();
  expect(back.exit, back.output).toBe(0);
  await traffic.reach(100_000);
  const report = await traffic.stop();
  console.log(`seed: ${report.requests} requests in ${report.tookMs} ms, ${report.failed} failed`);
  expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0 });
  expect(report.requests).toBeGreaterThanOrEqual(100_000);

  expect(await site.release()).toBe(release);
  expect(await site.read(site.node('web1'), 'releases', release, 'REVISION')).toBe(`${oldest}\n`);
  expect(newest).not.toBe(oldest);
  expect(await site.read(site.node('web1'), 'shared/.env')).not.toContain('of-the-seed');
  const shared = await onNode(
    lab,
    site.node('web1'),
    'stat -c %h /srv/seeded/releases/*/server.mjs; stat -c %h /srv/seeded/releases/*/version',
  );
  expect(shared.trim().split('\n')).toEqual(['2', '2', '1', '1']);
});

test('a node that is no longer as the seed was is told by status --drift', async () => {
  const alike = await site.sluice('status', 'production', '--drift');
  expect(alike.exit, alike.output).toBe(0);
  expect(alike.stdout).toMatch(/compared with image [0-9a-f]{7}:\n\nweb1, [^\n]* and web8 {2}alike\n$/);
  await onNode(lab, site.node('web2'), "echo 'workers 8' > /srv/conf/web.conf");
  const differing = await site.sluice('status', 'production', '--drift');
  expect(differing.exit, differing.output).toBe(1);
  expect(differing.stdout).toMatch(
    /web1, web3, [^\n]* and web8 {2}alike\nweb2 +files that differ {2}\/srv\/conf\/web.conf\n$/,
  );
});

test('a seed that fails its checks gives no image', async () => {
  const before = await imageNames();
  await changeSeed({ tag: 'broken', errsAfter: 0 });
  const built = await site.sluice('seed', 'build', 'production');
  expect(built.exit).toBe(3);
  expect(built.output).toMatch(/failed its check|did not answer/);
  expect(await imageNames()).toEqual(before);
});

test('an image with a bit flipped in the store activates nothing, and is told by verify', async () => {
  await changeSeed({ tag: 'good-3' });
  const built = await site.sluice('seed', 'build', 'production');
  expect(built.exit, built.output).toBe(0);
  const [name] = await imageNames();
  const manifest = await readFile(join(site.folder, 'images/images', name!, 'manifest'), 'utf8');
  const digest = /([0-9a-f]{64}) settings\.json/.exec(manifest)![1]!;
  const content = join(site.folder, 'images/files', digest.slice(0, 2), digest);
  const right = await readFile(content);
  await writeFile(content, right.toString().replace('good-3', 'good-7'));
  const live = await site.live();
  const refused = await site.sluice('deploy', 'production', '--yes');
  expect(refused.exit, refused.output).toBe(1);
  expect(refused.output).toMatch(/settings\.json is not as it was captured/);
  expect(await site.live()).toEqual(live);
  const verified = await site.sluice('seed', 'verify', 'production', name!.slice(0, 8));
  expect([verified.exit, verified.stdout]).toEqual([1, 'damaged: settings.json\n']);
  await writeFile(content, right);
  const deployed = await site.sluice('deploy', 'production', '--yes');
  expect(deployed.exit, deployed.output).toBe(0);
});

test('a git revision that was built and tried on the seed is what nodes get', async () => {
  await cp(lab.repository.folder, join(seed.srv, 'shop.git'), { recursive: true });
  await seed.asRoot(`chown -R ${deployUser.uid}:${deployUser.uid} /srv/shop.git`);
  await site.configure({ source: sourceOf({ git: '/srv/shop.git' }) });
  const built = await site.sluice('seed', 'build', 'production', '--ref', 'good-4');
  expect(built.exit, built.output).toBe(0);
  const [newest] = JSON.parse((await site.sluice('seed', 'list', 'production', '--json')).stdout);
  expect(newest.commit).toBe(await lab.repository.revision('good-4'));
  const deployed = await site.deploy('newest');
  expect(deployed.exit, deployed.output).toBe(0);
  const [there, here] = await Promise.all([
    onNode(lab, site.node('web2'), 'cat /srv/seeded/current/REVISION /srv/seeded/current/built'),
    onNode(lab, seed, 'cat /srv/app/built'),
  ]);
  expect(there).toBe(`${newest.name}\n${here}`);
  expect((await site.ask(site.node('web2'), '/'))?.body).toContain('version good-4');
});

test('nodes fetch an image from S3 by URLs that nobody else sees', async () => {
  const env = { AWS_ACCESS_KEY_ID: 'AKIDOFTEST', AWS_SECRET_ACCESS_KEY: 'secret-of-test' };
  const moto = await startMoto();
  try {
    await fetch(`${moto.endpoint}/images`, { method: 'PUT' });
    const s3 = { bucket: 'images', prefix: 'seeded', region: 'us-east-1', endpoint: moto.endpoint };
    await site.configure({ source: sourceOf({ store: { s3 }, deliver: 'urls' }) });
    await changeSeed({ tag: 'good-3' });
    const built = await site.startWith(env, 'seed', 'build', 'production').ended;
    expect(built.exit, built.output).toBe(0);
    const deployed = await site.startWith(env, 'deploy', 'production', '--yes', '--json').ended;
    expect(deployed.exit, deployed.output).toBe(0);
    expect((await site.ask(site.node('web3'), '/'))?.body).toContain('version good-3');
    expect(deployed.output).not.toMatch(/X-Amz-|AKIDOFTEST/);
    const left =
      'grep -rlE "X-Amz-|AKIDOFTEST" /srv/seeded/.sluice /srv/seeded/revisions.log || echo nothing';
    expect(await onNode(lab, site.node('web3'), left)).toBe('nothing\n');
  } finally {
    await moto.stop();
  }
});

test('pruning leaves what is on a node', async () => {
  await site.configure({ source: sourceOf(), keepReleases: 2 });
  const onNodes = new Set(
    await Promise.all(
      (await site.releases(site.node('web1'))).map((id) =>
        site.read(site.node('web1'), 'releases', id, 'REVISION'),
      ),
    ),
  );
  await changeSeed({ tag: 'good-1' });
  await site.sluice('seed', 'build', 'production');
  await changeSeed({ tag: 'slowstart' });
  await site.sluice('seed', 'build', 'production');
  const before = await imageNames();
  const pruned = await site.sluice('seed', 'prune', 'production');
  expect(pruned.exit, pruned.output).toBe(0);
  const after = await imageNames();
  expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
  expect(before.filter((name) => !after.includes(name))).toEqual(
    before.slice(2).filter((name) => !onNodes.has(`${name}\n`)),
  );
});
