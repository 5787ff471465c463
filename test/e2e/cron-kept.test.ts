import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calendarOf } from '../../src/core/calendar.ts';
import { calendars } from '../core/calendars.ts';
import { applicationFiles } from '../lab/application.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabNode } from '../lab/nodes.ts';
import type { LabSite, Settings } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';

const crontabs = {
  'jobs-1': '# Nightly\n0 4 1 1 * printf %s one > /srv/file/ran\n'.replace('%', '\\%'),
  'jobs-2': '@daily true\n0 4 1 1 * echo two > /srv/file/ran\n',
  'jobs-bad': '@daily true\n0 25 * * * true\nPATH=/opt\n',
};

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  for (const [tag, text] of Object.entries(crontabs))
    await lab.repository.commit({ ...applicationFiles({ tag }), 'config/crontab': text }, tag);
});
afterAll(() => lab?.stop());

async function cronSite(name: string, cron: Settings): Promise<LabSite> {
  const site = await lab.site({ name, nodes: 2, kind: 'files' });
  const nodes = site.nodes.map(({ name, address }) => ({ name, address, roles: ['jobs'] }));
  Object.assign(site.usual, { nodes, servingMin: 1, cron: { role: 'jobs', ...cron } });
  await site.configure({});
  return site;
}

const at = async (node: LabNode, script: string): Promise<string> =>
  (await onNode(lab, node, script)).replaceAll('\r', '').trim();

test('jobs in /etc/cron.d move as those of a crontab do, and leave nothing', async () => {
  const run = 'echo begun > /srv/kept-here/job && sleep 1 && echo ended > /srv/kept-here/job';
  const site = await cronSite('kept-here', { jobs: [{ schedule: '0 4 1 1 *', run }], keptIn: 'cron.d' });
  const [web1, web2] = site.nodes as [LabNode, LabNode];
  const file = '/etc/cron.d/sluice-srv-kept_2dhere';
  const foreign = `${file}-2`;
  const files = (node: LabNode): Promise<string> =>
    at(node, `find /etc/cron.d -name '*sluice*' ! -path ${foreign} -exec stat -c '%a %n' {} +`);
  await at(web1, `echo '# theirs' | sudo -n tee ${foreign}`);
  await site.deployed('good-1');
  expect(await at(web1, 'crontab -l 2>&1 || :')).toContain('no crontab');
  expect(await files(web1)).toBe(`644 ${file}`);
  // A daemon that looked in the second of the change looks again.
  const times = await at(web1, `stat -c %Z ${file}; stat -c %Y /etc/cron.d`);
  const [filedAt, touchedAt] = times.split('\n').map(Number);
  expect(touchedAt).toBeGreaterThan(filedAt!);
  const shown = (await site.sluice('cron', 'production')).output;
  expect(shown).toContain('cron on web1\n');
  expect(shown).toContain('Nothing stands out.');

  const running = onNode(lab, web1, await at(web1, `sed -n 's/^0 4 1 1 [*] deploy //p' ${file}`));
  while ((await site.read(web1, 'job')) !== 'begun\n') await sleep(20);
  const moved = await site.sluice('cron', 'production', '--to', 'web2');
  expect(moved.exit, moved.output).toBe(0);
  expect(await site.read(web1, 'job')).toBe('ended\n');
  await running;
  expect([await files(web1), await files(web2)]).toEqual(['', `644 ${file}`]);
  await site.configure({ cron: undefined });
  expect((await site.deploy('good-1')).exit).toBe(0);
  expect(await files(web2)).toBe('');
  expect(await at(web1, `cat ${foreign}`)).toBe('# theirs');
});

test('jobs in a file come and go with the release, and a bad line stops it before anything changes', async () => {
  const site = await cronSite('file', { file: 'config/crontab' });
  const [web1] = site.nodes as [LabNode, LabNode];
  const ran = async (): Promise<string | null> => {
    const line = await at(web1, `crontab -l | grep '^0 4 1 1'`);
    await onNode(lab, web1, line.split(' ').slice(5).join(' '));
    return site.read(web1, 'ran');
  };
  const first = await site.deployed('jobs-1');
  expect(await ran()).toBe('one');
  await site.deployed('jobs-2');
  expect(await ran()).toBe('two\n');
  const bad = await site.deploy('jobs-bad');
  expect(bad.exit, bad.output).toBe(1);
  expect(bad.output).toMatch(/config\/crontab, line 2: expected a schedule of crontab.*got "0 25 \* \* \*"/);
  expect(bad.output).toMatch(/config\/crontab, line 3: .*got a variable/);
  expect(await ran()).toBe('two\n');
  expect((await site.rollback()).exit).toBe(0);
  expect(await site.release()).toBe(first);
  expect(await ran()).toBe('one');
  await site.configure({ cron: { role: 'jobs', file: 'config/absent' } });
  const absent = await site.deploy('good-1');
  expect(absent.output).toMatch(/config\/absent, it is not there/);
});

test('systemd takes every calendar that schedules are brought to', async () => {
  const times = calendars.flatMap(([schedule]) => calendarOf(schedule) ?? []);
  const { stdout } = await promisify(execFile)('systemd-analyze', ['calendar', ...times]);
  expect(stdout.match(/Next elapse: \w/g)).toHaveLength(times.length);
});
