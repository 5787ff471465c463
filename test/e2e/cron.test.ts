import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabNode } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
});
afterAll(() => lab?.stop());

const job = (run: string) => ({ schedule: '0 4 1 1 *', run });

/** A site of files on the first nodes, whose cron web1 and web2 may have; web1 gets it. */
async function cronSite(name: string, nodes: number, run: string, settings: object = {}): Promise<LabSite> {
  const site = await lab.site({ name, nodes, kind: 'files' });
  const withRoles = site.nodes.map(({ name, address }, i) => ({
    name,
    address,
    roles: i < 2 ? ['jobs'] : [],
  }));
  const cron = { role: 'jobs', jobs: [job(run)], ...settings };
  Object.assign(site.usual, { nodes: withRoles, servingMin: 1, cron });
  await site.configure({});
  return site;
}

const crontabOf = ({ crontab }: LabNode): Promise<string> =>
  readFile(crontab, 'utf8').then(withoutHeader, () => '');

/** What cron writes there for itself. */
const withoutHeader = (text: string): string =>
  text.replace(/^(# (DO NOT EDIT|\(.*installed on|\(Cron version).*\n)*/, '');

const blockOf = (site: LabSite, text: string): string | null =>
  new RegExp(`# sluice /srv/${site.name}: begin[\\s\\S]*# sluice /srv/${site.name}: end\n`).exec(text)?.[0] ??
  null;

/** The nodes whose crontab has the block, and that may begin jobs. */
async function holders(site: LabSite): Promise<readonly string[]> {
  const found = await Promise.all(
    site.nodes.map(async (node) => {
      const block = blockOf(site, await crontabOf(node));
      return block !== null && (await site.read(node, '.sluice/cron')) !== null ? [node.name] : [];
    }),
  );
  return found.flat();
}

/** The most nodes that had the cron at once, from now until it is asked: those that two looks found had it between them. */
function watchHolders(site: LabSite): () => Promise<number> {
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const [before, after] = [await holders(site), await holders(site)];
      most = Math.max(most, before.filter((name) => after.includes(name)).length);
      await sleep(10);
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return most;
  };
}

/** Does what cron would do at the time of the first job. */
async function tick(site: LabSite, node: LabNode): Promise<string> {
  const line = blockOf(site, await crontabOf(node))!
    .split('\n')
    .find((text) => text.startsWith('0 4'))!;
  return line.split(' ').slice(5).join(' ');
}

test('S60: only the owner has the block after a deploy, a deploy to another node, and a rollback', async () => {
  const site = await cronSite('s60', 4, 'pwd -P > /srv/s60/where');
  const foreign = '# of an operator\nMAILTO=""\n\n0 3 * * *\tdate "+\\%F"  > /dev/null\n';
  for (const node of site.nodes)
    await onNode(lab, node, `printf %s '${foreign.replaceAll('\n', '\n')}' | crontab -`);
  const seen = async () => {
    const [web1] = site.nodes as [LabNode, ...LabNode[]];
    expect(await holders(site)).toEqual(['web1']);
    for (const node of site.nodes) {
      const text = await crontabOf(node);
      expect(text.replace(blockOf(site, text) ?? '', '')).toBe(foreign);
    }
    await onNode(lab, web1, await tick(site, web1));
    expect((await site.read(web1, 'where'))?.trim()).toBe(`/srv/s60/releases/${await site.current(web1)}`);
  };
  await site.deployed('good-1');
  await seen();
  const [block] = [await crontabOf(site.nodes[0]!)];
  expect(await site.deploy('good-2', '--nodes', 'web3')).toMatchObject({ exit: 0 });
  await seen();
  expect(await site.deploy('good-2')).toMatchObject({ exit: 0 });
  await seen();
  const back = await site.rollback();
  expect(back.exit, back.output).toBe(0);
  await seen();
  expect(await crontabOf(site.nodes[0]!)).toBe(block);
  const shown = await site.sluice('cron', 'production');
  expect(shown.output).toMatch(/cron on web1\n/);
  await site.configure({ cron: undefined });
  expect((await site.sluice('status', 'production')).output).toContain('web1 runs jobs of a cron');
  expect(await site.deploy('good-1')).toMatchObject({ exit: 0 });
  expect(await holders(site)).toEqual([]);
  for (const node of site.nodes) expect(await crontabOf(node)).toBe(foreign);
});

test('a move waits for a job under way, puts the cron back if that takes too long, or ends it', async () => {
  const site = await cronSite(
    'moving',
    2,
    'echo begun > /srv/moving/job && sleep 2 && echo ended > /srv/moving/job',
  );
  const [web1, web2] = site.nodes as [LabNode, LabNode];
  await site.deployed('good-1');
  const line = await tick(site, web1);
  const stop = watchHolders(site);

  let running = onNode(lab, web1, line);
  while ((await site.read(web1, 'job')) !== 'begun\n') await sleep(20);
  const moved = await site.sluice('cron', 'production', '--to', 'web2');
  expect(moved.exit, moved.output).toBe(0);
  expect(await site.read(web1, 'job')).toBe('ended\n');
  await running;
  expect(await holders(site)).toEqual(['web2']);

  const long = { role: 'jobs', jobs: [job('echo > /srv/moving/long && sleep 60')] };
  await site.configure({ cron: { ...long, timeout: '1s' } });
  expect(await site.deploy('good-1')).toMatchObject({ exit: 0 });
  running = onNode(lab, web2, await tick(site, web2));
  const ended = running.then(
    () => 'ended',
    () => 'was ended',
  );
  while ((await site.read(web2, 'long')) === null) await sleep(20);
  expect((await site.sluice('cron', 'production')).output).toMatch(/web2 +yes +.*sleep 60/);
  const late = await site.sluice('cron', 'production', '--to', 'web1');
  expect(late.exit, late.output).toBe(1);
  expect(late.output).toMatch(/did not end within 1000 ms/);
  expect(await holders(site)).toEqual(['web2']);

  await site.configure({ cron: { ...long, onRunning: 'end' } });
  const forced = await site.sluice('cron', 'production', '--to', 'web1');
  expect(forced.exit, forced.output).toBe(0);
  expect(await ended).toBe('was ended');
  expect(await holders(site)).toEqual(['web1']);
  expect(await stop()).toBe(1);
});

test('the cron of a dead node moves at the word of the operator, and is taken off when the node is back', async () => {
  const site = await cronSite('fenced', 3, 'true');
  const [web1] = site.nodes as [LabNode, ...LabNode[]];
  await site.deployed('good-1');
  await web1.stop();
  const refused = await site.sluice('cron', 'production', '--to', 'web2');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/web1 cannot be read.*\n.*--fenced/);
  const moved = await site.sluice('cron', 'production', '--to', 'web2', '--fenced');
  expect(moved.exit, moved.output).toBe(0);
  await web1.start();
  expect((await site.sluice('history', 'production')).output).toMatch(/web1 said to be off/);
  for (const command of ['status', 'check', 'cron'])
    expect((await site.sluice(command, 'production')).output).toContain('TWO CRONS: web1 and web2');
  const deployed = await site.deploy('good-2', '--json');
  expect(deployed.exit, deployed.output).toBe(0);
  expect(deployed.output.indexOf('"kind":"cron"')).toBeLessThan(deployed.output.indexOf('"kind":"build"'));
  expect(await holders(site)).toEqual(['web2']);
});

test('the cron of a node that a command shows to be off moves without a word of the operator', async () => {
  const fence = { run: `[ "$PASSWORD" = open ] && [ -e off.$1 ]`, env: { PASSWORD: { env: 'PASSWORD' } } };
  const site = await cronSite('shown', 2, 'true', { fence });
  const [web1] = site.nodes as [LabNode, LabNode];
  const move = (password = 'open') =>
    site.startWith({ PASSWORD: password }, 'cron', 'production', '--to', 'web2').ended;
  const deployed = await site.startWith(
    { PASSWORD: 'open' },
    'deploy',
    'production',
    '--ref',
    'good-1',
    '--yes',
  ).ended;
  expect(deployed.exit, deployed.output).toBe(0);
  await web1.stop();
  for (const password of ['open', 'wrong']) {
    const refused = await move(password);
    expect(refused.exit).toBe(2);
    expect(refused.output).toMatch(/Nothing shows that web1 is off.*status 1.*\n.*--fenced/);
    await writeFile(join(site.folder, 'off.web1'), '');
  }
  expect(await holders(site)).toEqual(['web1']);
  const moved = await move();
  expect(moved.exit, moved.output).toBe(0);
  await web1.start();
  const history = await site.startWith({ PASSWORD: 'open' }, 'history', 'production').ended;
  expect(history.output).toMatch(/web1 shown to be off by cron\.fence/);
});

test('a deploy that moves or holds the cron and is killed at any instant leaves it on one node at most', async () => {
  const site = await cronSite('killed', 2, 'true', { hold: 'deploy' });
  await site.deployed('good-1');
  const stop = watchHolders(site);
  for (let trial = 0; trial < 3; trial++) {
    const node = trial % 2 === 0 ? 'web2' : 'web1';
    await site.configure({ cron: { node, jobs: [job('true')], hold: 'deploy' } });
    const run = site.startDeploy(trial % 2 === 0 ? 'good-2' : 'good-1', '--json');
    await run.printed(/"step-started".*"kind":"cron"/);
    await sleep(Math.random() * 900);
    run.signal('SIGKILL');
    await run.ended;
    expect((await holders(site)).length).toBeLessThanOrEqual(1);
    const command = trial < 2 ? 'resume' : 'abort';
    const resumed = await site.sluice(command, 'production', '--yes', '--force');
    // It may have been done when it was to be killed.
    expect([0, 2], resumed.output).toContain(resumed.exit);
    expect(await holders(site)).toHaveLength(1);
  }
  expect(await stop()).toBe(1);
});
