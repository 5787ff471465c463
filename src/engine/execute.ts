import type { DeployError } from '../core/errors.ts';
import type { Plan } from '../core/plan.ts';
import { predict } from '../core/predict.ts';
import type { Step } from '../core/step.ts';
import { lossAfterSleep } from './lock.ts';
import { emit, interruption, type NodeFailure, type Run, textOf, together } from './run.ts';
import { executeStep } from './steps/index.ts';

/** Why a plan ended before its last step. */
export interface Stop {
  readonly error: DeployError;
  /** The step that failed; for an interruption the one that was next. */
  readonly step: Step;
  /** The steps that were not done, the failed one among them. */
  readonly left: readonly Step[];
}

/** Does the steps in order. Stops at the first that fails on any node, or between steps once the run is aborted. */
export async function executeSteps(steps: readonly Step[], run: Run): Promise<Stop | null> {
  for (const [index, step] of steps.entries()) {
    const stop = (error: DeployError): Stop => ({ error, step, left: steps.slice(index) });
    if (run.signal.aborted) return stop(interruption(run.signal));
    const failures = await executeOne(step, run, { index, total: steps.length });
    if (failures.length > 0) return stop(together(failures));
  }
  return null;
}

/**
 * Does the steps in order, come what may: a node that fails is left out of the steps that follow, and the others
 * go on. For the way back, where to stop would leave more nodes behind; so a hook that fails there is a warning.
 * Returns all other failures.
 */
export async function executeRecovery(plan: Plan, run: Run): Promise<readonly NodeFailure[]> {
  const all: NodeFailure[] = [];
  for (const [index, { step }] of plan.steps.entries()) {
    const failed = new Set(all.map(({ node }) => node));
    const nodes = step.nodes.filter((node) => !failed.has(node));
    if (nodes.length === 0) continue;
    const failures = await executeOne({ ...step, nodes }, run, { index, total: plan.steps.length });
    if (step.kind === 'hook' && failures.every(({ error }) => error.code !== 'LOCK_LOST')) {
      run.warnings.push(...failures.map(({ error }) => error.message));
      continue;
    }
    const whole = failures.filter(({ node }) => node === null);
    all.push(...failures, ...whole.flatMap(({ error }) => nodes.map((node) => ({ node, error }))));
    if (failures.some(({ error }) => error.code === 'LOCK_LOST')) break;
  }
  return all;
}

async function executeOne(
  step: Step,
  run: Run,
  place: { readonly index: number; readonly total: number },
): Promise<readonly NodeFailure[]> {
  const { ports } = run;
  const startMs = ports.clock.nowMs();
  emit(ports, { type: 'step-started', step, ...place });
  const lost = await lossAfterSleep(run);
  const failures = lost ? [{ node: null, error: lost }] : await executeStep(step, run);
  if (failures.length > 0) {
    emit(ports, { type: 'step-failed', step, index: place.index, failure: textOf(together(failures)) });
    return failures;
  }
  run.observed = predict(run.observed, step);
  emit(ports, { type: 'step-done', step, index: place.index, tookMs: ports.clock.nowMs() - startMs });
  return [];
}
