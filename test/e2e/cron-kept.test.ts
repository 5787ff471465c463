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

const lookAt = (node: LabNode, folder: string): Promise<string> =>
  at(
    node,
    `cd ${folder} 2>/dev/null && find . -name '*sluice*' ! -name '*here-2*' -exec ls -d {} + | sort || :`,
  );

/** Where the jobs stand, how that looks, and what it has a job run. */
const kept = {
  'cron.d': {
    folder: '/etc/cron.d',
    files: ['./sluice-srv-kept_2dhere'],
    command: `sed -n 's/^0 4 1 1 [*] deploy //p' /etc/cron.d/sluice-srv-kept_2dhere`,
  },
  systemd: {
    folder: '/etc/systemd/system',
    files: ['.1.service', '.1.timer'].map((end) => `./sluice-srv-kept_2dhere${end}`),
    command: `sed -n 's/^ExecStart=//p' /etc/systemd/system/sluice-srv-kept_2dhere.1.service`,
  },
  'systemd-user': {
    folder: '.config/systemd/user',
    files: ['.1.service', '.1.timer'].map((end) => `./sluice-srv-kept_2dhere${end}`),
    command: `sed -n 's/^ExecStart=//p' .config/systemd/user/sluice-srv-kept_2dhere.1.service`,
  },
} as const;

test('jobs in /etc/cron.d or as timers move as those of a crontab do, and leave nothing', async () => {
  const run = 'echo begun > /srv/kept-here/job && sleep 1 && echo ended > /srv/kept-here/job';
  const jobs = [{ schedule: '0 4 1 1 *', run }];
  const site = await cronSite('kept-here', { jobs });
  const [web1, web2] = site.nodes as [LabNode, LabNode];
  const foreign = [
    '/etc/cron.d/sluice-srv-kept_2dhere-2',
    '/etc/systemd/system/sluice-srv-kept_2dhere-2.1.service',
  ];
  const theirs = '[Service]\nExecStart=/bin/true\n';
  for (const path of foreign) await at(web1, `printf '${theirs}' | sudo -n tee ${path}`);
  await site.deployed('good-1');
  let [from, to] = [web1, web2];
  for (const [keptIn, { folder, files, command }] of Object.entries(kept)) {
    await site.configure({ cron: { role: 'jobs', jobs, keptIn } });
    const deployed = await site.deploy('good-1');
    expect(deployed.exit, deployed.output).toBe(0);
    expect(await at(from, 'crontab -l 2>&1 || :')).toContain('no crontab');
    const seen = (await lookAt(from, folder)).split('\n').filter((path) => !path.includes('.wants'));
    expect(seen).toEqual(files);
    expect(await at(from, `cd ${folder} && stat -c %a ${files.join(' ')}`)).toMatch(/^(644\n?)+$/);
    const shown = (await site.sluice('cron', 'production')).output;
    expect(shown).toContain(`cron on ${from.name}\n`);
    expect(shown).toContain('Nothing stands out.');

    const running = onNode(lab, from, await at(from, command));
    while ((await site.read(from, 'job')) !== 'begun\n') await sleep(20);
    const moved = await site.sluice('cron', 'production', '--to', to.name);
    expect(moved.exit, moved.output).toBe(0);
    expect(await site.read(from, 'job')).toBe('ended\n');
    await running;
    expect(await lookAt(from, folder)).toBe('');
    expect((await lookAt(to, folder)).split('\n').length).toBeGreaterThanOrEqual(files.length);
    [from, to] = [to, from];
  }
  await site.configure({ cron: undefined });
  expect((await site.deploy('good-1')).exit).toBe(0);
  for (const node of site.nodes)
    for (const { folder } of Object.values(kept)) expect(await lookAt(node, folder)).toBe('');
  for (const path of foreign) expect(await at(web1, `cat ${path}`)).toBe(theirs.trim());
  const calls = await at(web1, 'cat /run/systemctl.log');
  expect(calls).toMatch(/daemon-reload\nenable --now sluice-srv-kept_2dhere\.1\.timer/);
  expect(calls).toMatch(/disable --now sluice-srv-kept_2dhere\.1\.timer\ndaemon-reload/);
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
