import type { Workers } from '../core/hook.ts';
import type { Site } from '../core/site.ts';
import { newWorker, type SimulatedNode, type Worker } from './node.ts';
import type { World } from './world.ts';

/** As the settings have them; null: the site has no workers. */
export const workersOf = ({ hooks }: Site): Workers | null =>
  hooks.flatMap(({ action }) => (action.kind === 'nodes' ? (action.workers ?? []) : []))[0] ?? null;

/** Again and again there is a job for each worker that takes one. Once all is healed none lasts longer than anybody waits. */
export function startWorkers(world: World): void {
  if (workersOf(world.site) === null) return;
  const random = world.random.fork('workers');
  const tick = (): void => {
    for (const { isUp, worker } of world.nodes.values())
      if (isUp && worker.release !== null && !worker.isEnding && worker.job === null)
        beginJob(
          world,
          worker,
          random.integer({ min: 10, max: world.faults.healedAtMs !== null ? 500 : 12_000 }),
        );
    world.clock.after(tickMs, tick);
  };
  world.clock.after(tickMs, tick);
}

const tickMs = 5000;

function beginJob(world: World, worker: Worker, ms: number): void {
  const job = {};
  worker.job = job;
  world.clock.after(ms, () => {
    if (worker.job === job) endJob(worker);
  });
}

function endJob(worker: Worker): void {
  worker.job = null;
  if (worker.isEnding) worker.release = null;
}

/** It ends once it has finished its job, if it has any. */
export function stopWorker(worker: Worker): void {
  worker.isEnding = true;
  if (worker.job === null) worker.release = null;
}

/** In the midst of its job. */
export function killWorker(world: World, node: SimulatedNode): void {
  world.tell({ kind: 'worker', node, state: 'is cut' });
  endJob(node.worker);
}

/** In the release that is live by now. */
export function startWorker(world: World, node: SimulatedNode): void {
  const { worker, disk } = node;
  Object.assign(worker, newWorker(disk.current), { turn: worker.turn });
  world.tell({ kind: 'worker', node, state: 'starts' });
}

/** `src/commands/workers.ts`: as soon as it has ended, unless a later attempt sees to it, or the machine started anew. */
export function startWorkerLater(world: World, node: SimulatedNode): void {
  const { worker, boots } = node;
  const { turn } = worker;
  const look = (): void => {
    if (worker.turn !== turn || node.boots !== boots) return;
    if (worker.job === null) startWorker(world, node);
    else world.clock.after(1000, look);
  };
  look();
}
