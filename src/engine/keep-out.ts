import { isDeployError } from '../core/errors.ts';
import type { Step } from '../core/step.ts';
import type { Run } from './run.ts';
import { tellForgotten } from './settle.ts';

/**
 * Does the work of a step, and sees to it that the nodes that this run took out of rotation stay out meanwhile: a balancer
 * that starts anew may have forgotten it. What cannot be read or told now is met by the look before the next change.
 */
export async function keepingOut<T>(run: Run, step: Step, work: () => Promise<T>): Promise<T> {
  const isOut = step.nodes.some((node) => (run.drained.get(node) ?? []).length > 0);
  if (!isOut || !steps.has(step.kind)) return work();
  const over = new AbortController();
  const watch = lookAgainAndAgain(run, step, over.signal);
  try {
    return await work();
  } finally {
    over.abort();
    await watch;
  }
}

/** What changes nodes or asks them while they are out. */
const steps: ReadonlySet<Step['kind']> = new Set(['activate', 'check', 'hook']);

async function lookAgainAndAgain(run: Run, { nodes }: Step, over: AbortSignal): Promise<void> {
  for (;;) {
    await run.ports.clock.sleep(intervalMs, over);
    if (over.aborted) return;
    try {
      await tellForgotten(run, nodes);
    } catch (error) {
      if (!isDeployError(error) && !run.signal.aborted) throw error;
    }
  }
}

const intervalMs = 1000;
