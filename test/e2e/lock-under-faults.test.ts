import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOfType } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { deployUser, sshPort } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
});
afterAll(() => lab?.stop());

/** A node that falls silent is given up soon; one that is merely slow is not. */
const ssh = {
  user: deployUser.name,
  port: sshPort,
  connectTimeout: '4s',
  keepAlive: '500ms',
  attempts: 2,
};
/** Nobody counts what an HAProxy before the reload has in flight, so each drain after that takes its whole time. */
const drain = { timeout: '2s' };
const underWay = /"step-started".*"kind":"hook"/;

const starting = (kind: string, node: string): RegExp =>
  new RegExp(`"step-started","step":\\{"kind":"${kind}","nodes":\\["${node}"`);

const everywhere = <T>(site: LabSite, value: T): Record<string, T> =>
  Object.fromEntries(site.nodes.map(({ name }) => [name, value]));

async function expectWhole(site: LabSite): Promise<void> {
  await expect.poll(() => site.rotation(), { timeout: 30_000 }).toEqual(everywhere(site, 'UP'));
  expect(await site.served()).toEqual(await site.live());
  expect(await site.locked()).toEqual([]);
}

test('S25: while the first deploy has lost a node and HAProxy restarts, a second one is refused and told who holds the lock', async () => {
  const site = await lab.site({ name: 's25', nodes: 3, settings: { ssh, drain } });
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook] } });
  const first = site.startDeploy('good-1', '--json');
  await first.printed(underWay);
  await Promise.all([site.node('web3').cut('ssh'), site.balancer!.reload()]);
  const second = await site.deploy('good-2');
  await site.node('web3').mend();
  expect(second.exit, second.output).toBe(5);
  expect(second.output).toContain('deploy good-1');

  await gate.open();
  const ended = await first.ended;
  expect(ended.exit, ended.output).toBe(0);
  expect((await site.ask(site.node('web1'), '/'))?.body).toContain('version good-1');
  await expectWhole(site);
});

test('S26: the loser frees nothing of the winner, on the node that was lost neither', async () => {
  const site = await lab.site({ name: 's26', nodes: 3, settings: { ssh } });
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook] } });
  const first = site.startDeploy('good-1', '--json');
  await first.printed(underWay);
  const locks = () => Promise.all(site.nodes.map((node) => site.read(node, '.sluice/lock')));
  const held = await locks();
  await site.node('web1').cut('connections');
  expect(await site.deploy('good-2')).toMatchObject({ exit: 5 });
  await site.node('web1').mend();
  expect(await site.deploy('good-2')).toMatchObject({ exit: 5 });
  expect(await locks()).toEqual(held);
  await gate.open();
  const ended = await first.ended;
  expect(ended.exit, ended.output).toBe(0);
  await expectWhole(site);
});

test('S27: a failure while a connection is lost frees the lock, and the next deploy starts', async () => {
  const site = await lab.site({ name: 's27', nodes: 3, settings: { ssh } });
  await site.deployed('good-1');
  await site.configure({ hooks: { 'before:activate': [{ run: 'sleep 1; exit 3', on: 'operator' }] } });
  const failing = site.startDeploy('good-2', '--json');
  await failing.printed(starting('hook', 'web1'));
  await site.node('web2').cut('connections');
  await site.node('web2').mend();
  const ended = await failing.ended;
  expect(ended.exit, ended.output).toBe(1);
  await expectWhole(site);
  await site.configure({});
  expect(await site.deploy('good-2')).toMatchObject({ exit: 0 });
});

test.for([
  { signal: 'SIGINT', exit: 130 },
  { signal: 'SIGTERM', exit: 143 },
] as const)(
  'S28: after $signal while another node is cut off, what is out comes back, and what is left is said',
  async ({ signal, exit }) => {
    const site = await lab.site({ name: `s28-${signal}`.toLowerCase(), nodes: 3, settings: { ssh } });
    await site.deployed('good-1');
    const run = site.startDeploy('good-2', '--json');
    await run.printed(starting('drain', 'web1'));
    await site.node('web3').cut('ssh');
    run.signal(signal);
    // By then its connection is lost.
    const back = sleep(2500).then(() => site.node('web3').mend());
    const ended = await run.ended;
    await back;
    await site.node('web3').idle();
    expect(ended.exit, ended.output).toBe(exit);
    expect(await site.rotation()).toEqual(everywhere(site, 'UP'));
    if ((await site.locked()).length > 0) {
      expect(await site.locked()).toEqual(['web3']);
      const { report } = eventsOfType(ended, 'run-ended')[0]!;
      expect(report.warnings.join('\n')).toContain('the lock on web3 was not given back');
      const aborted = await site.elsewhere('abort', 'production', '--yes', '--force');
      expect(aborted.exit, aborted.output).toBe(0);
    }
    await expectWhole(site);
  },
);

test('S29: killed while a node is cut off: the lock is seen to be stale, and going on works once the node is back', async () => {
  const site = await lab.site({ name: 's29', nodes: 3, settings: { ssh } });
  await site.deployed('good-1');
  const run = site.startDeploy('good-2', '--json');
  await run.printed(starting('activate', 'web2'));
  await site.node('web2').cut('ssh');
  run.signal('SIGKILL');
  await run.ended;
  for (const node of site.nodes)
    await site.write(node, '.sluice/heartbeat', `${Math.floor(Date.now() / 1000) - 90}\n`);

  const { output } = await site.elsewhere('status', 'production');
  expect(output).toMatch(/deploy good-2 as \d{14}, last heartbeat 1 min [3-5]\d s ago/);
  expect(output).toContain(
    'That run is dead: sluice resume production finishes it, sluice abort production goes back.',
  );
  expect(output).toMatch(/web2 .* could not be reached/);
  const early = await site.elsewhere('resume', 'production', '--yes');
  expect(early.exit, early.output).toBe(2);
  expect(await site.locked()).toEqual(['web1', 'web2', 'web3']);

  await site.node('web2').mend();
  const resumed = await site.elsewhere('resume', 'production', '--yes');
  expect(resumed.exit, resumed.output).toBe(0);
  expect((await site.ask(site.node('web2'), '/'))?.body).toContain('version good-2');
  await expectWhole(site);
});

test('S30: a node that dies between two takings of the lock leaves no lock on any other', async () => {
  const site = await lab.site({ name: 's30', nodes: 4, settings: { ssh } });
  await site.deployed('good-1');
  // Planned, it asks the first node alone and then all others. The first one is busy until the other one is cut off.
  const [web1, web3] = [site.node('web1'), site.node('web3')];
  await web1.asRoot(`
    cd /srv/s30
    setsid --fork flock .sluice/busy \\
      timeout 60 sh -c ': > held; until [ -e go ]; do sleep 0.05; done' </dev/null >/dev/null 2>&1`);
  await expect.poll(() => site.read(web1, 'held')).toBe('');
  const run = site.startDeploy('good-2', '--json');
  await run.printed(/"planned"/);
  await web3.cut('connections');
  await site.write(web1, 'go', '');
  const ended = await run.ended;
  const locked = await site.locked();
  await web3.mend();
  expect(ended.exit, ended.output).toBe(2);
  expect(locked.filter((name) => name !== 'web3')).toEqual([]);
});

test('S31: while HAProxy restarts, the lock is the same whatever nodes are chosen', async () => {
  const site = await lab.site({ name: 's31', nodes: 4, settings: { ssh, drain, servingMin: 1 } });
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook] } });
  const first = site.startDeploy('good-1', '--nodes', 'web1,web2', '--json');
  await first.printed(underWay);
  expect(await site.locked()).toEqual(['web1', 'web2', 'web3', 'web4']);
  const [second] = await Promise.all([
    site.deploy('good-2', '--nodes', 'web3,web4'),
    site.balancer!.reload(),
  ]);
  expect(second.exit, second.output).toBe(5);
  expect(second.output).toContain('deploy good-1');
  await gate.open();
  expect(await first.ended).toMatchObject({ exit: 0 });
  expect(await site.live()).toMatchObject({ web3: null, web4: null });
});
