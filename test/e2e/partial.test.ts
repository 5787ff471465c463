import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { clients, watchRotation } from '../lab/watch.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 12 });
});
afterAll(() => lab?.stop());

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `web${i + 1}`);
const each = <T>(count: number, value: T): Record<string, T> =>
  Object.fromEntries(names(count).map((name) => [name, value]));

test('S50: a node that fails in each batch ends the run at the second, and no capacity is lost', async () => {
  const site = await lab.site({
    name: 's50',
    nodes: 12,
    settings: { strategy: { name: 'rolling', batch: 4 }, servingMin: 8, failuresMax: 1 },
  });
  const first = await site.deployed('good-1');
  for (const name of ['web2', 'web6', 'web10']) await site.setEnv(site.node(name), { FAILS: 'good-2' });
  const [traffic, rotation] = [await clients(site.balancer!, { slow: 0 }), watchRotation(site.balancer!)];
  await site.configure({ checks: site.checks({ timeout: '8s' }) });
  const run = await site.deploy('good-2');
  const [report, watched] = [await traffic.stop(), await rotation.stop()];

  expect(run.exit, run.output).toBe(1);
  expect(run.output).toContain('goes on without web2');
  expect(run.output).toMatch(/web6 .*\/health/);
  expect(await site.live()).toEqual(each(12, first));
  expect(await site.rotation()).toEqual(each(12, 'UP'));
  expect(watched.fewestUp).toBeGreaterThanOrEqual(8);
  expect(report).toMatchObject({ failed: 0, truncated: 0 });
  expect(await site.locked()).toEqual([]);
});

test('S51: a node that is down stops a deploy; --skip-unreachable leaves it out, and sync brings it on', async () => {
  const site = await lab.site({ name: 's51', nodes: 6, settings: { servingMin: 3 } });
  const first = await site.deployed('good-1');
  await site.node('web5').stop();
  try {
    const refused = await site.deploy('good-2');
    expect(refused.exit).toBe(2);
    expect(refused.output).toContain('web5');
    expect((await site.deploy('good-2', '--skip-unreachable')).output).toContain('--failures-max 1');
    expect(await site.live()).toEqual(each(6, first));

    const run = await site.deploy('good-2', '--skip-unreachable', '--failures-max', '1');
    expect(run.exit, run.output).toBe(6);
    expect(run.output).toMatch(/Done in part .* behind: web5\./);
    expect(run.output).toContain('sluice sync production');
  } finally {
    await site.node('web5').start();
  }
  const second = (await site.live()).web1;
  expect(await site.live()).toEqual({ ...each(6, second), web5: first });
  expect((await site.sluice('history', 'production')).stdout).toContain('behind: web5');
  expect((await site.sluice('status', 'production')).stdout).toContain(
    `web5 runs ${first}, older than ${second}`,
  );

  const synced = await site.sluice('sync', 'production', '--yes');
  expect(synced.exit, synced.output).toBe(0);
  expect(await site.live()).toEqual(each(6, second));
  expect(await site.served()).toEqual(each(6, second));
  expect(await site.rotation()).toEqual(each(6, 'UP'));
  expect(await site.locked()).toEqual([]);
});

test('S53: a node that joins gets exactly what the others have, checked, and they are not touched', async () => {
  const site = await lab.site({ name: 's53', nodes: 5, settings: { servingMin: 3 } });
  const all = site.usual.nodes as readonly unknown[];
  await site.configure({ nodes: all.slice(0, 4) });
  await site.deploy('good-1');
  const older = await site.current(site.node('web1'));
  expect((await site.deploy('good-2')).exit).toBe(0);
  const live = await site.current(site.node('web1'));
  await site.configure({ nodes: all });

  const run = await site.sluice('sync', 'production', 'web5', '--yes', '--json');
  expect(run.exit, run.output).toBe(0);
  expect(run.stdout).not.toMatch(/"kind":"(drain|activate|enable)","nodes":\["web[1-4]"/);
  expect(await site.live()).toEqual(each(5, live));
  expect(await site.read(site.node('web5'), `releases/${live}/REVISION`)).toBe(
    await site.read(site.node('web1'), `releases/${live}/REVISION`),
  );
  expect(await site.served()).toEqual(each(5, live));
  expect(await site.rotation()).toEqual(each(5, 'UP'));
  const back = await site.rollback('--to', older!);
  expect(back.exit).toBe(2);
  expect(back.output).toContain('is not whole on web5');
});

test('a deploy that is held outlives its process, and is promoted from another machine', async () => {
  const site = await lab.site({
    name: 'held',
    nodes: 3,
    settings: { strategy: { name: 'rolling', hold: 'promote' } },
  });
  const first = await site.deployed('good-1').catch(() => null);
  if (first === null) expect((await site.elsewhere('promote', 'production', '--yes')).exit).toBe(0);
  const before = await site.release();
  const run = await site.deploy('good-2');
  expect(run.exit, run.output).toBe(4);
  expect(run.output).toContain('sluice promote production');
  const half = await site.live();
  expect(Object.values(half).filter((live) => live === before)).toHaveLength(2);
  expect(await site.rotation()).toEqual(each(3, 'UP'));
  expect((await site.elsewhere('status', 'production')).stdout).toMatch(
    /held by .* hold first batch, until it is promoted, on web1, web2 and web3\. sluice promote production goes on/,
  );
  expect((await site.deploy('good-1')).exit).toBe(5);

  const promoted = await site.elsewhere('promote', 'production', '--yes');
  expect(promoted.exit, promoted.output).toBe(0);
  expect(new Set(Object.values(await site.live())).size).toBe(1);
  expect(await site.release()).not.toBe(before);
  expect(await site.locked()).toEqual([]);
});
