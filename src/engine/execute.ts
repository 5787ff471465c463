import type { DeployError } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { hookNodes, type Plan } from '../core/plan.ts';
import { predict } from '../core/predict.ts';
import type { OnFailure } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import { lookInFront } from './front.ts';
import { keepingOut } from './keep-out.ts';
import { lossAfterSleep } from './lock.ts';
import {
  emit,
  interruption,
  type NodeFailure,
  presentNodes,
  type Run,
  stepFailed,
  textOf,
  together,
} from './run.ts';
import { executeStep } from './steps/index.ts';

/** Why a plan ended before its last step. */
export interface Stop {
  readonly error: DeployError;
  /** The step that failed; for an interruption the one that was next. */
  readonly step: Step;
  /** The steps that were not done, the failed one among them. */
  readonly left: readonly Step[];
  /** What a person said is to follow; null: nobody was asked. */
  readonly policy: OnFailure | null;
}

/** What is done about nodes that failed in a step. */
export interface Coping {
  decide(step: Step, failures: readonly NodeFailure[]): Promise<Decision>;
  /** Brings nodes that were left out back to what they had: before others leave, and at the end. */
  bringBack(): Promise<void>;
}

/** A failure that somebody is asked about. */
export interface Trouble {
  readonly step: Step;
  readonly failures: readonly NodeFailure[];
  /** False where the run cannot go on without what failed. */
  readonly mayLeaveOut: boolean;
}

/** `retry`: the same step on the nodes that failed. `leave out`: go on without them. Else: stop. */
export type Decision = 'retry' | 'leave out' | 'stop' | OnFailure;

const stopAtOnce: Coping = { decide: async () => 'stop', bringBack: async () => {} };

/**
 * Does the steps in order. What is done about a failure is up to `coping`; otherwise stops at the first step that fails
 * on any node, and between steps once the run is aborted.
 */
export async function executeSteps(
  steps: readonly Step[],
  run: Run,
  coping: Coping = stopAtOnce,
): Promise<Stop | null> {
  for (const [index, step] of steps.entries()) {
    const stop = (error: DeployError, policy: OnFailure | null = null): Stop => ({
      error,
      step,
      left: steps.slice(index),
      policy,
    });
    if (run.signal.aborted) return stop(interruption(run.signal));
    if (step.kind === 'drain') await coping.bringBack();
    const end = await executeAll(step, run, { place: { index, total: steps.length }, coping });
    if (end) return stop(end.error, end.policy);
  }
  await coping.bringBack();
  return null;
}

interface Place {
  readonly index: number;
  readonly total: number;
}

async function executeAll(
  step: Step,
  run: Run,
  { place, coping }: { readonly place: Place; readonly coping: Coping },
): Promise<Pick<Stop, 'error' | 'policy'> | null> {
  for (let nodes = nodesFor(step, run); nodes.length > 0; ) {
    const part = { ...step, nodes };
    const failures = await executeOne(part, run, place);
    if (failures.length === 0) return null;
    const decision = await coping.decide(part, failures);
    if (decision === 'leave out') {
      leaveOut(part, run, failures);
      return null;
    }
    if (decision !== 'retry')
      return { error: together(failures), policy: decision === 'stop' ? null : decision };
    const failed = failures.flatMap(({ node }) => node ?? []);
    if (failed.length === failures.length) nodes = failed;
  }
  return null;
}

/** Those that were not left out. Work that runs once falls to another node that it may run on. */
function nodesFor(step: Step, run: Run): readonly NodeName[] {
  const nodes = step.nodes.filter((node) => !run.leftOut.has(node));
  // A node that was left out may run the site's jobs all the same.
  if (step.kind === 'cron' && step.to === null) return step.nodes;
  // Whatever failed, nothing goes on as if the hold had been gone through.
  if (step.kind === 'hold') return nodes.length > 0 ? nodes : step.nodes;
  if (nodes.length > 0 || step.kind !== 'hook' || !step.once) return nodes;
  const hook = run.site.hooks.find(({ name }) => name === step.hook);
  const others = presentNodes(run)
    .map(({ name }) => name)
    .filter((name) => !run.leftOut.has(name));
  const standIn = hook ? hookNodes(run.site, hook, others) : [];
  return standIn.length > 0 ? standIn : step.nodes;
}

function leaveOut(step: Step, run: Run, failures: readonly NodeFailure[]): void {
  const nodes = failures.flatMap(({ node }) => node ?? []);
  for (const { node, error } of failures) {
    // Of one that is gone it is said already.
    if (node === null || run.leftOut.has(node)) continue;
    run.warnings.push(`${node} was left out: ${error.message}`);
    run.leftOut.set(node, 'as it failed');
  }
  emit(run.ports, { type: 'left-out', nodes, step });
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

/** The work of a step, between two looks at what stands in front of the nodes where that matters. */
async function inSight(run: Run, step: Step): Promise<readonly NodeFailure[]> {
  const work = (): Promise<readonly NodeFailure[]> => keepingOut(run, step, () => executeStep(step, run));
  if (!looksInFront.has(step.kind)) return work();
  try {
    await lookInFront(run);
    const failures = await work();
    if (failures.length === 0) await lookInFront(run);
    return failures;
  } catch (error) {
    return stepFailed(run, error);
  }
}

/** What changes nodes, or where traffic goes. */
const looksInFront: ReadonlySet<Step['kind']> = new Set(['drain', 'activate', 'enable', 'flip', 'shift']);

async function executeOne(step: Step, run: Run, place: Place): Promise<readonly NodeFailure[]> {
  const { ports } = run;
  const startMs = ports.clock.nowMs();
  emit(ports, { type: 'step-started', step, ...place });
  const lost = await lossAfterSleep(run);
  const failures = lost ? [{ node: null, error: lost }] : await inSight(run, step);
  const failed = failures.map(({ node }) => node);
  if (!failed.includes(null)) {
    const done = step.nodes.filter((node) => !failed.includes(node));
    run.observed = predict(run.observed, { ...step, nodes: done });
  }
  if (failures.length > 0) {
    emit(ports, { type: 'step-failed', step, index: place.index, failure: textOf(together(failures)) });
    return failures;
  }
  emit(ports, { type: 'step-done', step, index: place.index, tookMs: ports.clock.nowMs() - startMs });
  return [];
}
