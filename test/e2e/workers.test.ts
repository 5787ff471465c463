import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabNode } from '../lab/nodes.ts';
import type { LabSite, Settings } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
});
afterAll(() => lab?.stop());

/** Works on one job of its queue after the other; asked to end, it finishes the one that it has. */
const worker = (folder: string): string => `
cd ${folder} || exit
release=$(basename "$(readlink current)")
asked=
trap 'asked=1' TERM
echo $$ > worker.pid
while [ -z "$asked" ]; do
  for job in queue/*; do
    if [ -n "$asked" ] || [ ! -e "$job" ]; then break; fi
    name=\${job#queue/}
    mv "$job" "working/$name"
    echo "$name begins in $release" >> jobs.log
    sh "working/$name"
    rm "working/$name"
    echo "$name ends in $release" >> jobs.log
  done
  sleep 0.02
done
rm worker.pid
`;

const workersOf = (folder: string): Settings => ({
  role: 'jobs',
  stop: `[ ! -e ${folder}/worker.pid ] || kill -TERM "$(cat ${folder}/worker.pid)"`,
  isRunning: ['test', '-e', `${folder}/worker.pid`],
  start: [
    `setsid sh ${folder}/shared/worker.sh < /dev/null > /dev/null 2>&1 & until [ -e ${folder}/worker.pid ]; do sleep 0.02; done`,
  ],
  drain: '10s',
});

/** web1 serves, web2 serves and has workers, web3 has workers alone. */
async function siteWithWorkers(name: string): Promise<LabSite> {
  const site = await lab.site({ name, nodes: 3 });
  const nodes = site.nodes.map(({ name, address }) => ({
    name,
    address,
    roles: name === 'web1' ? [] : ['jobs'],
    traffic: name !== 'web3',
  }));
  Object.assign(site.usual, { nodes, servingMin: 1, workers: workersOf(`/srv/${name}`) });
  await site.configure({});
  for (const node of site.nodes) {
    await site.write(node, 'shared/worker.sh', worker(`/srv/${name}`));
    await onNode(lab, node, `mkdir -p /srv/${name}/queue /srv/${name}/working`);
  }
  return site;
}

const enqueue = (site: LabSite, node: LabNode, jobs: readonly string[], script: string): Promise<void> =>
  Promise.all(jobs.map((job) => site.write(node, `queue/${job}`, `${script}\n`))).then(() => {});

const linesOf = async (site: LabSite, node: LabNode): Promise<readonly string[]> =>
  ((await site.read(node, 'jobs.log')) ?? '').split('\n').filter((line) => line !== '');

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 600) throw new Error('it did not come to be within 30 s');
    await sleep(50);
  }
}

/** The release of the worker that takes the next job, which that is put there for. */
async function releaseAtWork(site: LabSite, node: LabNode, job: string): Promise<string | undefined> {
  await enqueue(site, node, [job], ':');
  await until(async () => (await linesOf(site, node)).some((line) => line.startsWith(`${job} ends`)));
  return (await linesOf(site, node)).at(-1)?.split(' ').at(-1);
}

test('workers finish the job under way, lose none, and all run the new release afterwards', async () => {
  const site = await siteWithWorkers('queue');
  const [web1, web2, web3] = site.nodes as [LabNode, LabNode, LabNode];
  const old = await site.deployed('good-1');
  expect(await site.read(web1, 'worker.pid')).toBeNull();
  const jobs = Array.from({ length: 9 }, (_, i) => `job${i + 1}`);
  for (const node of [web2, web3]) await enqueue(site, node, jobs, 'sleep 1');
  await until(async () => (await linesOf(site, web2)).length > 0 && (await linesOf(site, web3)).length > 0);
  const deployed = await site.deploy('good-2', '--json');
  expect(deployed.exit, deployed.output).toBe(0);
  for (const kind of ['drain', 'enable']) expect(nodesOfSteps(deployed, kind).flat()).not.toContain('web3');
  expect(deployed.output).not.toContain('web3 does not serve');
  const live = await site.release();
  expect(live).not.toBe(old);
  for (const node of [web2, web3]) {
    expect(await releaseAtWork(site, node, 'last')).toBe(live);
    const lines = await linesOf(site, node);
    expect(new Set(lines.map((line) => line.split(' ').at(-1)))).toEqual(new Set([old, live]));
    for (const job of jobs) {
      const [begins, ends, ...more] = lines.filter((line) => line.startsWith(`${job} `));
      expect(ends).toBe(begins?.replace('begins', 'ends'));
      expect(more).toEqual([]);
    }
  }
  const status = await site.sluice('status', 'production');
  expect(status.output).toContain('2 of 2 nodes serving');
  expect(status.output).toContain('Nothing stands out.');
});

test('a job that takes longer is not cut: the release goes back; unless it is to be ended', async () => {
  const site = await siteWithWorkers('long');
  const [, web2] = site.nodes as [LabNode, LabNode];
  const old = await site.deployed('good-1');
  await site.configure({ workers: { ...workersOf('/srv/long'), drain: '1s' } });
  await enqueue(site, web2, ['long'], 'until [ -e end ]; do sleep 0.1; done');
  await until(async () => (await linesOf(site, web2)).length > 0);
  const late = await site.deploy('good-2');
  expect(late.exit, late.output).toBe(1);
  expect(late.output).toMatch(/Hook workers .* web2.*[\s\S]*did not end their jobs within 1 s/);
  expect(await site.release()).toBe(old);
  await site.write(web2, 'end', '');
  expect(await releaseAtWork(site, web2, 'next')).toBe(old);
  expect(await linesOf(site, web2)).toEqual(
    ['long', 'next'].flatMap((job) => [`${job} begins in ${old}`, `${job} ends in ${old}`]),
  );

  const kill = 'kill -KILL "$(cat /srv/long/worker.pid)"; rm /srv/long/worker.pid';
  await site.configure({ workers: { ...workersOf('/srv/long'), drain: '1s', kill } });
  await enqueue(site, web2, ['longer'], 'exec sleep 600');
  await until(async () => (await linesOf(site, web2)).at(-1)?.startsWith('longer') ?? false);
  const forced = await site.deploy('good-2');
  expect(forced.exit, forced.output).toBe(0);
  expect(await releaseAtWork(site, web2, 'after')).toBe(await site.release());
});
