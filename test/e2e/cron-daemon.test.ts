import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCron } from '../lab/cron.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabNode } from '../lab/nodes.ts';
import type { LabSite } from '../lab/site.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  // A minute of theirs takes two seconds.
  await Promise.all(lab.nodes.map((node) => startCron(node, 30)));
});
afterAll(() => lab?.stop());

const run = 'echo "begun $(date +%s%N) $(pwd -P)"; sleep 0.7; echo "ended $(date +%s%N)"';
const jobs = [{ schedule: '* * * * *', run: `( ${run} ) >> /srv/daemon/ran` }];

interface Ran {
  readonly node: string;
  readonly release: string;
  readonly beganNs: bigint;
  readonly endedNs: bigint | null;
}

/** What the daemons have run so far, in the order in which it began. */
async function ran(site: LabSite): Promise<readonly Ran[]> {
  const found = await Promise.all(
    site.nodes.map(async (node) =>
      [
        ...((await site.read(node, 'ran')) ?? '').matchAll(
          /^begun (\d+) \/srv\/daemon\/releases\/(\d+)\n(?:ended (\d+)\n)?/gm,
        ),
      ].map(([, began, release, ended]) => ({
        node: node.name,
        release: release!,
        beganNs: BigInt(began!),
        endedNs: ended === undefined ? null : BigInt(ended),
      })),
    ),
  );
  return found.flat().toSorted((a, b) => Number(a.beganNs - b.beganNs));
}

/** Waits until a job has begun on the node after this, and says which release it runs. The first one may only have been noted after this. */
async function next(site: LabSite, { name }: LabNode): Promise<string> {
  const before = (await ran(site)).length;
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 50) {
    const [, job] = (await ran(site)).slice(before).filter(({ node }) => node === name);
    if (job) return job.release;
    await sleep(50);
  }
  throw new Error(`cron began no job on ${name}: ${(await ran(site)).length} jobs before`);
}

test('cron itself runs the live release, on one node alone, and on the other one after a move', async () => {
  const site = await lab.site({ name: 'daemon', nodes: 2, kind: 'files' });
  const [web1, web2] = site.nodes as [LabNode, LabNode];
  const nodes = site.nodes.map(({ name, address }) => ({ name, address, roles: ['jobs'] }));
  Object.assign(site.usual, { nodes, servingMin: 1, cron: { role: 'jobs', jobs } });
  await site.configure({});

  expect(await site.deployed('good-1')).toBe(await next(site, web1));
  const second = await site.deployed('good-2');
  expect(await next(site, web1)).toBe(second);
  expect(await ran(site)).not.toContainEqual(expect.objectContaining({ node: 'web2' }));

  // One is under way, and the move waits for its end.
  const moved = await site.sluice('cron', 'production', '--to', 'web2');
  expect(moved.exit, moved.output).toBe(0);
  const had = (await ran(site)).filter(({ node }) => node === 'web1').length;
  expect(await next(site, web2)).toBe(second);

  await site.configure({ cron: { role: 'jobs', jobs, keptIn: 'cron.d' } });
  const first = await site.deployed('good-1');
  expect(await next(site, web2)).toBe(first);
  const all = await ran(site);
  const [before, after] = site.nodes.map(({ name }) => all.filter(({ node }) => node === name));
  expect(before).toHaveLength(had);
  expect(before!.at(-1)!.endedNs!).toBeLessThan(after![0]!.beganNs);
});
