import { isDeployError } from '../core/errors.ts';
import type { Step } from '../core/step.ts';
import { welcomeBack } from './front.ts';
import type { Run } from './run.ts';
import { hasSet, tellAnew, tellForgotten } from './settle/again.ts';

/**
 * Does the work of a step, and sees to it that what this run told the balancers stays so meanwhile, which one that starts anew
 * may have forgotten: which nodes are out, weights, a flip. One that was gone on without, and is back, is told too. What cannot be read or told now is met by the look before the next change.
 */
export async function keepingOut<T>(run: Run, step: Step, work: () => Promise<T>): Promise<T> {
  const isOut = step.nodes.some((node) => (run.drained.get(node) ?? []).length > 0);
  const looks = [
    ...(isOut && steps.has(step.kind) ? [() => tellForgotten(run, step.nodes)] : []),
    ...(hasSet(run) && !setters.has(step.kind) ? [() => tellAnew(run)] : []),
    ...(run.ports.addresses.length > 0 && (isOut || step.kind === 'drain') && !movers.has(step.kind)
      ? [() => welcomeBack(run)]
      : []),
  ];
  if (looks.length === 0) return work();
  const over = new AbortController();
  const watch = lookAgainAndAgain(run, looks, over.signal);
  try {
    return await work();
  } finally {
    over.abort('the step is over');
    await watch;
  }
}

/** What changes nodes or asks them while they are out. */
const steps: ReadonlySet<Step['kind']> = new Set(['activate', 'check', 'hook']);

/** What sets weights and pools itself. */
const setters: ReadonlySet<Step['kind']> = new Set(['shift', 'flip']);

/** What puts nodes back, or moves all traffic: whoever comes back meanwhile is told by the look after it. */
const movers: ReadonlySet<Step['kind']> = new Set(['enable', 'flip']);

async function lookAgainAndAgain(
  run: Run,
  looks: readonly (() => Promise<void>)[],
  over: AbortSignal,
): Promise<void> {
  for (;;) {
    await run.ports.clock.sleep(intervalMs, over);
    if (over.aborted) return;
    for (const look of looks) {
      try {
        await look();
      } catch (error) {
        if (!isDeployError(error) && !run.signal.aborted) throw error;
      }
    }
  }
}

const intervalMs = 1000;
