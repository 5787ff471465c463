import { note } from '../commands/note.ts';
import { type DeployError, failure, isDeployError } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import type { Before, RunIntent } from '../core/intent.ts';
import { liveRelease, type Observation, releaseOn } from '../core/observation.ts';
import { hookNodes, makePlan, type Plan } from '../core/plan.ts';
import { recovery } from '../core/recovery.ts';
import type { Revision } from '../core/release.ts';
import type { OnFailure } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import type { Target } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { executeRecovery, executeSteps, type Stop } from './execute.ts';
import { finishRun, keepLock, renewLocks, takeLock } from './lock.ts';
import { assemble, observe, observeBalancers } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
import { type Aim, type Intent, type Proposed, planFor, proposeFrom, type RunRequest } from './propose.ts';
import { type Ended, historyLine, judge, nothingDone, reportNodes } from './report.ts';
import {
  emit,
  expected,
  fenceFor,
  newRun,
  newRunId,
  onNode,
  type Run,
  textOf,
  together,
  withoutLocks,
} from './run.ts';
import { patienceMs } from './settle.ts';
import { executeStep } from './steps/index.ts';

/** Observe, plan, prove, lock, do, and observe again: the one way in which a site is changed. */
export async function perform(request: RunRequest & Intent, ports: Ports): Promise<Report> {
  const startMs = ports.clock.nowMs();
  const id = newRunId(ports);
  emit(ports, {
    type: 'run-started',
    run: id,
    command: request.command,
    site: request.site.name,
    stage: request.site.stage,
    operator: ports.operator.name,
    nodes: request.nodes ?? request.site.nodes.map(({ name }) => name),
  });
  const ended = await settled(request, ports, id);
  const report = { ...ended, tookMs: ports.clock.nowMs() - startMs };
  emit(ports, { type: 'run-ended', run: id, report });
  return report;
}

async function settled(request: RunRequest & Intent, ports: Ports, id: string): Promise<Ended> {
  const { site } = request;
  const warnings: string[] = [];
  try {
    const agreed = await agree(request, ports);
    if (agreed === 'refused') return nothingDone('refused', null);
    const { plan, observed } = agreed.proposal;
    const idle = plan.steps.length === 0 && !agreed.aim.takesOver;
    if (idle) return nothingDone('nothing to do', null, reportNodes(site, observed, null));
    return await underLock(request, ports, { id, warnings, ...agreed });
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return { ...refusal(request, error), warnings };
  }
}

/** What will be done, once whoever is asked has said yes. Nothing is touched, so a signal just ends it. */
async function agree(request: RunRequest & Intent, ports: Ports): Promise<Proposed | 'refused'> {
  try {
    const proposed = await proposeFrom(request, ports);
    const { plan } = proposed.proposal;
    emit(ports, { type: 'planned', plan });
    for (const text of plan.warnings) emit(ports, { type: 'note', level: 'warning', text });
    if (plan.steps.length === 0 && !proposed.aim.takesOver) return proposed;
    return (await request.confirm(proposed.proposal)) ? proposed : 'refused';
  } catch (error) {
    throw expected(request.signal, error);
  }
}

/** Nothing was changed: the site is as it was. */
function refusal({ signal }: RunRequest, error: DeployError): Ended {
  if (signal.aborted) return nothingDone('interrupted', error, null, signal);
  const locked = ['LOCKED', 'LOCK_RACE', 'HOLDER_ALIVE', 'NODE_BUSY'].includes(error.code);
  return nothingDone(locked ? 'locked' : 'refused', error);
}

interface Agreed extends Proposed {
  readonly id: string;
  /** What must be said of a run that ends before it began. */
  readonly warnings: string[];
}

async function underLock(request: RunRequest & Intent, ports: Ports, agreed: Agreed): Promise<Ended> {
  const { site } = request;
  const { id, proposal, aim, warnings } = agreed;
  const { release } = aim.target;
  const before = aim.before ?? releasesOn(proposal.observed);
  const reason = `${request.command} ${aim.wanted} as ${release.id}`;
  const intent = intentOf(aim, before);
  const from = aim.takesOver?.runs ?? {};
  const warn = (text: string): void => void warnings.push(text);
  const nodes = await takeLock({ site, ports, run: id, reason, intent, from, warn });
  emit(ports, { type: 'locked', nodes: nodes.map(({ name }) => name) });
  const lost = new AbortController();
  const observed = assemble(nodes, await observeBalancers(ports));
  const signal = AbortSignal.any([request.signal, lost.signal]);
  const run = newRun({ id, site, ports, release, observed, signal });
  const keeping = keepLock(run, (error) => lost.abort(error));
  try {
    const plan = await planUnderLock(run, agreed);
    return await toTheEnd(request, run, { plan, aim, before });
  } finally {
    await keeping.stop();
    await run.artifact?.discard();
  }
}

/** What whoever comes after a crash must know. A run that goes back for a dead one keeps what that one set out to do. */
const intentOf = ({ purpose, wanted, target, takesOver }: Aim, before: Before): RunIntent => ({
  purpose: purpose === 'recovery' ? (takesOver?.intent.purpose ?? 'deploy') : purpose,
  wanted,
  release: target.release,
  nodes: target.nodes,
  before,
  onceAs: target.onceAs ?? target.release.id,
});

const releasesOn = (observed: Observation): Before =>
  Object.fromEntries(
    Object.values(observed.nodes).map((node) => {
      const id = liveRelease(node);
      const revision = id === null ? null : (releaseOn(node, id)?.revision ?? ('' as Revision));
      return [node.name, id === null || revision === null ? null : { id, revision }];
    }),
  );

/**
 * The plan again, from what is so under the lock: what was agreed to must still be the plan, or the lock is given
 * back. Only a run that goes on for a dead one goes by the new plan: it leads to the same place, and the lock that says
 * where must not be lost.
 */
async function planUnderLock(run: Run, { proposal, aim, warnings }: Agreed): Promise<Plan> {
  try {
    refuseUnfit(run.site, run.observed);
    const plan = planFor(run.site, run.observed, aim);
    const same = JSON.stringify(plan.steps) === JSON.stringify(proposal.plan.steps);
    if (!same && !aim.takesOver) throw failure('SITE_CHANGED', {});
    return plan;
  } catch (error) {
    if (isDeployError(error) && !aim.takesOver) {
      warnings.push(...(await finishRun(run, { logLine: null, historyLine: null })));
    }
    throw error;
  }
}

interface Course {
  readonly plan: Plan;
  readonly aim: Aim;
  readonly before: Before;
}

async function toTheEnd(request: RunRequest & Intent, run: Run, course: Course): Promise<Ended> {
  const { plan, aim, before } = course;
  const first = run.observed;
  const steps = plan.steps.map(({ step }) => step);
  const stop = aim.purpose === 'recovery' ? await goBack(plan, run) : await executeSteps(steps, run);
  const recovered = stop ? await comeBack(request, run, { ...course, stop }) : true;
  const last = await observePatiently(run);
  const verdict = judge(run, { aim, before, stop, recovered, first, last, signal: request.signal });
  const lockWarnings = await writeEnd(request, run, aim, verdict.outcome);
  return {
    ...verdict,
    failure: stop && textOf(stop.error),
    warnings: [...run.warnings, ...lockWarnings],
    nodes: reportNodes(request.site, last, run),
  };
}

/** What cannot be read is looked at again for a moment: it may just restart. */
async function observePatiently({ site, ports }: Run): Promise<Observation> {
  const deadlineMs = ports.clock.nowMs() + patienceMs;
  for (;;) {
    const observed = await observe(site, ports);
    const all = [...Object.values(observed.nodes), ...observed.balancers];
    const isWhole = all.every(({ unreachable }) => unreachable === null);
    if (isWhole || ports.clock.nowMs() >= deadlineMs) return observed;
    await ports.clock.sleep(250);
  }
}

/** An abort: each node for itself, as far as it goes. */
async function goBack(plan: Plan, run: Run): Promise<Stop | null> {
  const failures = await executeRecovery(plan, run);
  const step = plan.steps.at(-1)?.step;
  return failures.length === 0 || !step ? null : { error: together(failures), step, left: [] };
}

const writeEnd = (
  { command }: Intent,
  run: Run,
  { wanted, logLine }: Aim,
  outcome: Report['outcome'],
): Promise<readonly string[]> =>
  finishRun(run, {
    logLine: outcome === 'done' ? logLine : null,
    historyLine: historyLine(run, { command, wanted, outcome }),
  });

/**
 * The way on after a failure or a signal, once and never again. A run that lost its lock may touch nothing, not even
 * to mend; one that failed after its last change of a node has nothing to take back. Says whether every node came back
 * as it should; what did not is a warning.
 */
async function comeBack(
  request: RunRequest,
  run: Run,
  { aim, before, stop }: Course & { readonly stop: Stop },
): Promise<boolean> {
  const { site } = request;
  run.failureText = stop.error.message;
  if (stop.error.code === 'LOCK_LOST') return false;
  const lost = await renewLocks(run);
  if (lost) {
    run.warnings.push(lost.message);
    return false;
  }
  const interrupted = request.signal.aborted;
  if (interrupted) emit(run.ports, { type: 'interrupted', signal: String(request.signal.reason) });
  const calm: Run = { ...run, signal: new AbortController().signal };
  const policy = interrupted ? 'interrupted' : stop.left.some(changesNodes) ? site.onFailure : 'halt';
  const recovered =
    aim.purpose === 'recovery' ? false : await recover(calm, { policy, before, target: aim.target });
  await failedHooks(calm);
  return recovered;
}

async function recover(
  run: Run,
  { policy, before, target }: { policy: OnFailure | 'interrupted'; before: Before; target: Target },
): Promise<boolean> {
  const { site, ports } = run;
  try {
    await writeDown(run);
    run.observed = withoutLocks(await observePatiently(run));
    const strategy = recovery({ policy, before, servingMin: site.servingMin });
    const plan = makePlan({ site, strategy, purpose: 'recovery', observed: run.observed, target });
    if (plan.steps.length === 0) return true;
    emit(ports, { type: 'recovering', policy, plan });
    const failures = await executeRecovery(plan, run);
    for (const { node, error } of failures) {
      run.warnings.push(`${node ?? 'the fleet'} did not come back: ${error.message}`);
    }
    return failures.length === 0;
  } catch (error) {
    if (!isDeployError(error)) throw error;
    run.warnings.push(`The way back could not be planned: ${error.message}`);
    return false;
  }
}

/** What checks showed of nodes before another failed counts on the way back: it must stand there when they are read. */
async function writeDown(run: Run): Promise<void> {
  const nodes = run.site.nodes.filter(({ name }) => run.unwritten.has(name));
  const results = await Promise.allSettled(
    nodes.map((node) => onNode(run.ports, node, note(fenceFor(run, node.name), null))),
  );
  for (const result of results) if (result.status === 'rejected') expected(run.signal, result.reason);
}

const changesNodes = ({ kind }: Step): boolean => !['cleanup', 'hook'].includes(kind);

/** Notices of a failure go out whatever happens, once what can be is put back; one that fails as well is a warning. */
async function failedHooks(run: Run): Promise<void> {
  const all = run.site.nodes.map((node) => node.name);
  for (const hook of run.site.hooks.filter(({ point }) => point === 'failed')) {
    const nodes = hookNodes(run.site, hook, all);
    const { name, point } = hook;
    const step: Step = {
      kind: 'hook',
      nodes,
      hook: name,
      point,
      once: false,
      onceAs: run.release.id,
      release: run.release,
    };
    for (const { error } of await executeStep(step, run)) run.warnings.push(error.message);
  }
}
