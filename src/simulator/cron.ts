import type { CronRun, SimulatedNode } from './node.ts';
import type { World } from './world.ts';

/** The cron of each machine: again and again it begins a job of the site, where the site's jobs may begin. */
export function startCrons(world: World): void {
  const random = world.random.fork('cron');
  const tick = (): void => {
    for (const node of world.nodes.values()) {
      if (!node.isUp || node.disk.cronSince === null || node.disk.cron.length === 0) continue;
      beginJob(world, node, random.integer({ min: 10, max: 9000 }));
    }
    world.clock.after(tickMs, tick);
  };
  world.clock.after(tickMs, tick);
}

const tickMs = 6000;

function beginJob(world: World, node: SimulatedNode, ms: number): void {
  const job: CronRun = { name: 'true' };
  node.jobs.add(job);
  world.tell({ kind: 'job', node, state: 'begins' });
  world.clock.after(ms, () => endJob(world, node, job));
}

/** It ends by itself, because it was told to, or with its machine. */
export function endJob(world: World, node: SimulatedNode, job: CronRun): void {
  if (node.jobs.delete(job)) world.tell({ kind: 'job', node, state: 'ended' });
}
