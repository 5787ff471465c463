import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CliResult } from '../lab/cli.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabSite } from '../lab/site.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 6 });
});
afterAll(() => lab?.stop());

/** A deploy that is killed the moment that it says it begins the step. */
async function killedAt(site: LabSite, ref: string, step: RegExp): Promise<CliResult> {
  const run = site.startDeploy(ref, '--json');
  await run.printed(step);
  run.signal('SIGKILL');
  return run.ended;
}

const starting = (kind: string, node: string): RegExp =>
  new RegExp(`"step-started","step":\\{"kind":"${kind}","nodes":\\["${node}"`);

const everywhere = (site: LabSite, value: string): Record<string, string> =>
  Object.fromEntries(site.nodes.map(({ name }) => [name, value]));

test('S29: a killed deploy is seen to be dead, and a deploy refuses and names the two ways on', async () => {
  const site = await lab.site({ name: 's29', nodes: 3 });
  await site.deployed('good-1');
  // The node is not put back before it is killed.
  await site.configure({ checks: site.checks({ timeout: '60s' }) });
  await killedAt(site, 'slowstart', starting('activate', 'web2'));

  const alive = await site.sluice('resume', 'production', '--yes');
  expect(alive.exit).toBe(5);
  expect(alive.output).toContain('may still be at it');
  for (const node of site.nodes)
    await site.write(node, '.sluice/heartbeat', `${Math.floor(Date.now() / 1000) - 90}\n`);

  const { output } = await site.elsewhere('status', 'production');
  expect(output).toMatch(/deploy slowstart as \d{14}, last heartbeat 1 min [3-5]\d s ago/);
  expect(output).toContain(
    'That run is dead: sluice resume production finishes it, sluice abort production goes back.',
  );
  expect(output).toMatch(/web2 .*out/);
  const refused = await site.deploy('good-2');
  expect(refused.exit).toBe(5);
  expect(refused.output).toContain('sluice resume finishes it, sluice abort goes back');

  expect(await site.elsewhere('abort', 'production', '--yes')).toMatchObject({ exit: 0 });
  expect(await site.rotation()).toEqual(everywhere(site, 'UP'));
  expect(await site.locked()).toEqual([]);
});

test('S34: resume redoes nothing that is done, and never a migration', async () => {
  const migrate = { name: 'migrate', run: 'echo x >> ../../shared/migrations', once: true };
  const site = await lab.site({
    name: 's34',
    nodes: 6,
    settings: {
      strategy: { name: 'rolling', batch: 2 },
      servingMin: 3,
      hooks: { 'after:prepare': [migrate] },
    },
  });
  const first = await site.deployed('good-1');
  await killedAt(site, 'good-2', starting('activate', 'web3'));
  const half = await site.live();
  expect([half.web1, half.web6]).not.toContain(undefined);
  expect(half.web1).not.toBe(first);
  expect(half.web6).toBe(first);

  const resumed = await site.elsewhere('resume', 'production', '--yes', '--force', '--json');
  expect(resumed.exit, resumed.output).toBe(0);
  expect(resumed.stdout).not.toMatch(/"step-started","step":\{"kind":"(drain|activate)","nodes":\["web1"/);
  expect(await site.live()).toEqual(everywhere(site, half.web1!));
  expect(await site.served()).toEqual(everywhere(site, half.web1!));
  expect(await site.rotation()).toEqual(everywhere(site, 'UP'));
  const migrations = await Promise.all(site.nodes.map((node) => site.read(node, 'shared/migrations')));
  expect(migrations.filter((text) => text !== null).join('')).toBe('x\nx\n');
  expect(await site.locked()).toEqual([]);
});

test('a run whose lock was taken over changes nothing any more, and says so', async () => {
  const site = await lab.site({ name: 'fenced', nodes: 3 });
  const first = await site.deployed('good-1');
  // It has the node out, and is between two commands when its lock is taken.
  const gate = site.gate();
  await site.configure({ hooks: { 'before:activate': [gate.hook] } });
  const run = site.startDeploy('good-2', '--json');
  await run.printed(starting('hook', 'web1'));
  await site.configure({});
  const aborted = await site.elsewhere('abort', 'production', '--yes', '--force');
  await gate.open();
  const ended = await run.ended;
  expect(ended.exit, ended.output).toBe(3);
  expect(ended.output).toContain('LOCK_LOST');
  expect(aborted.exit, aborted.output).toBe(0);
  expect(await site.live()).toEqual(everywhere(site, first));
});
