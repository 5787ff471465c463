import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { deployUser, type LabNode } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';
import { systemd } from '../lab/systemd.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 2, first: systemd });
  await Promise.all(lab.nodes.map((node) => node.asRoot(hurry)));
});
afterAll(() => lab?.stop());

const run = 'echo "begun $(id -un) $(pwd -P)"; sleep 0.7; echo ended';
const jobs = [
  { schedule: '* * * * *', run: `( ${run} ) >> /srv/timed/ran` },
  { schedule: '@yearly', run: 'exit 3' },
];

/** No test waits for a minute: the first job has, beside its own times, every second; and it may begin so often. */
const hurry = ['system', 'user']
  .flatMap((of) => [
    [`${of}/sluice-srv-timed.1.timer.d`, '[Timer]', 'OnCalendar=*-*-* *:*:*'],
    [`${of}/sluice-srv-timed.1.service.d`, '[Unit]', 'StartLimitIntervalSec=0'],
  ])
  .map(
    ([folder, ...lines]) => `mkdir -p /run/systemd/${folder}
      printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} > /run/systemd/${folder}/often.conf`,
  )
  .join('\n');

/** What the timers of a node have run so far: the releases, in the order in which they began. */
const ran = async (site: LabSite, node: LabNode): Promise<readonly string[]> =>
  [...((await site.read(node, 'ran')) ?? '').matchAll(/^begun (\S+) \/srv\/timed\/releases\/(\d+)$/gm)].map(
    ([, user, release]) => (user === deployUser.name ? release! : `${release} as ${user}`),
  );

/** Waits until a job has begun on the node after this, and says which release it runs. */
async function next(site: LabSite, node: LabNode): Promise<string> {
  const before = (await ran(site, node)).length;
  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 50) {
    const release = (await ran(site, node))[before];
    if (release) return release;
    await sleep(50);
  }
  throw new Error(`no timer began a job on ${node.name}: ${before} jobs before`);
}

/** How each is asked, where it has units, and what writes there. */
const managers = {
  systemd: { systemctl: 'sudo -n systemctl', folder: '/etc/systemd/system', tee: 'sudo -n tee' },
  'systemd-user': { systemctl: 'systemctl --user', folder: '.config/systemd/user', tee: 'tee' },
} as const;

const ask = (node: LabNode, script: string): Promise<string> =>
  onNode(lab, node, `export XDG_RUNTIME_DIR=/run/user/$(id -u)\n${script}`);

/** What systemd itself knows of the site's units on a node: timers, all that are loaded, and all that are files. */
const known = (node: LabNode): Promise<string> =>
  ask(
    node,
    Object.values(managers)
      .flatMap(({ systemctl }) => [
        `${systemctl} list-unit-files --plain --no-legend "sluice-srv-timed.*"`,
        `${systemctl} list-units --all --plain --no-legend "sluice-srv-timed.*"`,
        `${systemctl} list-timers --all --plain --no-legend "sluice-srv-timed.*"`,
      ])
      .join('\n'),
  );

test('systemd itself runs the live release as the user of the site, on one node alone, and on the other one after a move', async () => {
  const site = await lab.site({ name: 'timed', nodes: 2, kind: 'files' });
  const nodes = site.nodes.map(({ name, address }) => ({ name, address, roles: ['jobs'] }));
  Object.assign(site.usual, { nodes, servingMin: 1 });
  let [from, to] = site.nodes as [LabNode, LabNode];
  for (const [keptIn, { systemctl, folder, tee }] of Object.entries(managers)) {
    const foreign = `${folder}/sluice-srv-timed-2.1.service`;
    await ask(from, `mkdir -p ${folder} && echo '# theirs' | ${tee} ${foreign}`);
    const ranBefore = await ran(site, to);
    await site.configure({ cron: { role: 'jobs', jobs, keptIn } });
    const release = await site.deployed(keptIn === 'systemd' ? 'good-1' : 'good-2');
    const timers = [1, 2].map((n) => `sluice-srv-timed.${n}.timer`);
    const listed = await ask(from, `${systemctl} list-timers --plain --no-legend "sluice-srv-timed.*"`);
    expect(listed.match(/\S+\.timer/g)?.sort()).toEqual(timers);
    expect(await ask(from, `${systemctl} show --property TimersCalendar ${timers[0]}`)).toMatch(
      /OnCalendar=\*-\*-\* \*:\*:00 ; next_elapse=\w{3} .*:00 /,
    );
    expect(
      await from.asRoot(`cd ~${deployUser.name} && systemd-analyze verify ${folder}/sluice-srv-timed.* 2>&1`),
    ).toBe('');
    expect(await ask(from, `stat -c %a ${folder}/sluice-srv-timed.* | uniq`)).toBe('644\n');
    const failed = `${systemctl} list-units --failed --plain --no-legend`;
    await ask(from, `${systemctl} start sluice-srv-timed.2.service || :`);
    expect(await ask(from, failed)).toMatch(/^sluice-srv-timed\.2\.service .*\n$/);

    // One is under way, and the move waits for its end.
    expect(await next(site, from)).toBe(release);
    expect(await ran(site, to)).toEqual(ranBefore);

    const moved = await site.sluice('cron', 'production', '--to', to.name);
    expect(moved.exit, moved.output).toBe(0);
    expect(await site.read(from, 'ran')).toMatch(/ended\n$/);
    expect(await known(from)).toBe('');
    expect(
      await ask(from, `cd ${folder} && find . -type f,l && cat ${foreign.slice(folder.length + 1)}`),
    ).toBe('./sluice-srv-timed-2.1.service\n# theirs\n');
    const had = await ran(site, from);
    expect(await next(site, to)).toBe(release);
    expect(await ran(site, from)).toEqual(had);
    [from, to] = [to, from];
  }

  await site.configure({ cron: undefined });
  await site.deployed('good-1');
  for (const node of site.nodes) expect(await known(node)).toBe('');
});
