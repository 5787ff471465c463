import { AssertionError } from '../core/assert.ts';
import { type DeployError, type ExitStatus, failure, isDeployError } from '../core/errors.ts';
import type { NodeReport, Report } from '../core/event.ts';
import { isoTime } from '../core/instant.ts';
import {
  isHeldOut,
  isServing,
  liveRelease,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
} from '../core/observation.ts';
import { makePlan, type Plan } from '../core/plan.ts';
import { type Before, recovery } from '../core/recovery.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import type { Target } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { executeRecovery, executeSteps, type Stop } from './execute.ts';
import { finishRun, keepLock, takeLock } from './lock.ts';
import { assemble, observe, observeBalancers } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
import { type Intent, planFor, proposeFrom, type RunRequest } from './propose.ts';
import { emit, interruption, newRun, newRunId, type Run, textOf, withoutLocks } from './run.ts';
import { executeStep } from './steps/index.ts';

/** Observe, plan, prove, lock, do, and observe again: the one way in which a site is changed. */
export async function perform(request: RunRequest & Intent, ports: Ports): Promise<Report> {
  const startMs = ports.clock.nowMs();
  const id = newRunId(ports);
  emit(ports, {
    type: 'run-started',
    run: id,
    command: request.purpose,
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

type Ended = Omit<Report, 'tookMs'>;

async function settled(request: RunRequest & Intent, ports: Ports, id: string): Promise<Ended> {
  try {
    const proposal = await proposeFrom(request, ports);
    const { plan, observed } = proposal;
    emit(ports, { type: 'planned', plan });
    for (const text of plan.warnings) emit(ports, { type: 'note', level: 'warning', text });
    if (plan.steps.length === 0)
      return nothingDone('nothing to do', 0, null, reportNodes(request.site, observed, null));
    if (!(await request.confirm(proposal))) {
      return nothingDone('refused', 2, null, null);
    }
    return await underLock(request, ports, { id, plan });
  } catch (error) {
    const expected =
      request.signal.aborted && !(error instanceof AssertionError) ? interruption(request.signal) : error;
    if (!isDeployError(expected)) throw error;
    return refusal(request, expected);
  }
}

/** Nothing was changed: the site is as it was. */
function refusal({ signal }: RunRequest, error: DeployError): Ended {
  if (signal.aborted) return nothingDone('interrupted', signalStatus(signal), error, null);
  const locked = error.code === 'LOCKED' || error.code === 'LOCK_RACE';
  return locked ? nothingDone('locked', 5, error, null) : nothingDone('refused', 2, error, null);
}

const nothingDone = (
  outcome: Report['outcome'],
  exit: ExitStatus,
  error: DeployError | null,
  nodes: Report['nodes'],
): Ended => ({ outcome, exit, failure: error && textOf(error), warnings: [], nodes });

interface Agreed {
  readonly id: string;
  readonly plan: Plan;
}

async function underLock(request: RunRequest & Intent, ports: Ports, { id, plan }: Agreed): Promise<Ended> {
  const { site } = request;
  const { target } = plan;
  const reason = `${request.purpose} ${request.wanted} as ${target.release.id}`;
  const nodes = await takeLock({ site, ports, run: id, reason });
  emit(ports, { type: 'locked', nodes: nodes.map(({ name }) => name) });
  const lost = new AbortController();
  const observed = assemble(nodes, await observeBalancers(ports));
  const run = newRun({
    id,
    site,
    ports,
    release: target.release,
    observed,
    signal: AbortSignal.any([request.signal, lost.signal]),
  });
  const keeping = keepLock(run, (error) => lost.abort(error));
  try {
    const changed = siteChanged(request, withoutLocks(observed), plan);
    if (changed) {
      await finishRun(run, { logLine: null, historyLine: null });
      return refusal(request, changed);
    }
    return await toTheEnd(request, run, plan);
  } finally {
    await keeping.stop();
    await run.artifact?.discard();
  }
}

/** Between the plan and the lock the site may have changed: what was agreed to must still be the plan. */
function siteChanged(request: RunRequest & Intent, observed: Observation, plan: Plan): DeployError | null {
  try {
    refuseUnfit(request.site, observed);
    const fresh = planFor(request, observed, plan.target);
    const same = JSON.stringify(fresh.steps) === JSON.stringify(plan.steps);
    return same ? null : failure('SITE_CHANGED', {});
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return error;
  }
}

async function toTheEnd(request: RunRequest & Intent, run: Run, plan: Plan): Promise<Ended> {
  const { target } = plan;
  const first = run.observed;
  const before = releasesBefore(first);
  const stop = await executeSteps(
    plan.steps.map(({ step }) => step),
    run,
  );
  if (stop) await comeBack(request, run, { stop, before, target });
  const last = await observe(request.site, run.ports);
  const verdict = judge(request, run, { stop, first, last, target });
  const logLine = verdict.outcome === 'done' ? request.logLine(target, run.ports.operator.name) : null;
  const lockWarnings =
    stop?.error.code === 'LOCK_LOST'
      ? []
      : await finishRun(run, { logLine, historyLine: historyLine(request, run, verdict.outcome) });
  return {
    ...verdict,
    failure: stop && textOf(stop.error),
    warnings: [...run.warnings, ...lockWarnings],
    nodes: reportNodes(request.site, last, run),
  };
}

const releasesBefore = (observed: Observation): Before =>
  Object.fromEntries(
    Object.values(observed.nodes).map((node) => {
      const id = liveRelease(node);
      return [
        node.name,
        id === null ? null : { id, revision: releaseOn(node, id)?.revision ?? ('' as Revision) },
      ];
    }),
  );

interface Stopped {
  readonly stop: Stop;
  readonly before: Before;
  readonly target: Target;
}

/**
 * The way on after a failure or a signal, once and never again. A run that lost its lock may touch nothing, not even
 * to mend; one that failed after its last change of a node has nothing to take back.
 */
async function comeBack(request: RunRequest, run: Run, { stop, before, target }: Stopped): Promise<void> {
  const { site } = request;
  run.failureText = stop.error.message;
  if (stop.error.code === 'LOCK_LOST') return;
  const interrupted = request.signal.aborted;
  if (interrupted) emit(run.ports, { type: 'interrupted', signal: String(request.signal.reason) });
  const calm: Run = { ...run, signal: new AbortController().signal };
  await failedHooks(calm);
  const policy = interrupted ? 'interrupted' : stop.left.some(changesNodes) ? site.onFailure : 'halt';
  try {
    calm.observed = withoutLocks(await observe(site, run.ports));
    const strategy = recovery({ policy, before, servingMin: site.servingMin });
    const plan = makePlan({ site, strategy, purpose: 'recovery', observed: calm.observed, target });
    if (plan.steps.length === 0) return;
    emit(run.ports, { type: 'recovering', policy, plan });
    const failures = await executeRecovery(plan, calm);
    for (const { node, error } of failures)
      if (node !== null) run.warnings.push(`${node} did not come back: ${error.message}`);
  } catch (error) {
    if (!isDeployError(error)) throw error;
    run.warnings.push(`The way back could not be planned: ${error.message}`);
  }
}

const changesNodes = ({ kind }: Step): boolean => !['cleanup', 'hook'].includes(kind);

/** Notices of a failure go out whatever happens; one that fails as well is a warning. */
async function failedHooks(run: Run): Promise<void> {
  for (const { name, point } of run.site.hooks.filter((hook) => hook.point === 'failed')) {
    const nodes = run.site.nodes.map((node) => node.name);
    const failures = await executeStep(
      { kind: 'hook', nodes, hook: name, point, once: false, release: run.release },
      run,
    );
    for (const { error } of failures) run.warnings.push(error.message);
  }
}

interface Facts {
  readonly stop: Stop | null;
  readonly first: Observation;
  readonly last: Observation;
  readonly target: Target;
}

/** From what is so now, not from what was done. */
function judge(
  { signal }: RunRequest,
  run: Run,
  { stop, first, last, target }: Facts,
): Pick<Report, 'outcome' | 'exit'> {
  const missing = Object.keys(first.nodes).filter((node) => isServing(first, node) && !isServing(last, node));
  for (const node of missing) run.warnings.push(`${node} served before this run, and does not serve now.`);
  if (!stop) {
    const wrong = target.nodes.filter((node) => liveRelease(nodeState(last, node)) !== target.release.id);
    for (const node of wrong)
      run.warnings.push(`${node} was read back at the end, and does not have ${target.release.id} live.`);
    return missing.length + wrong.length === 0
      ? { outcome: 'done', exit: 0 }
      : { outcome: 'needs a person', exit: 3 };
  }
  if (missing.length > 0) return { outcome: 'needs a person', exit: 3 };
  if (signal.aborted) return { outcome: 'interrupted', exit: signalStatus(signal) };
  const asBefore = Object.values(first.nodes).every(
    (node) => liveRelease(node) === liveRelease(nodeState(last, node.name)),
  );
  return asBefore ? { outcome: 'rolled back', exit: 1 } : { outcome: 'needs a person', exit: 3 };
}

const signalStatus = (signal: AbortSignal): 130 | 143 => (signal.reason === 'SIGTERM' ? 143 : 130);

const historyLine = ({ purpose, wanted }: Intent, run: Run, outcome: Report['outcome']): string =>
  JSON.stringify({
    at: isoTime(run.ports.clock.nowMs()),
    run: run.id,
    text: `${purpose} ${wanted} (${run.release.revision.slice(0, 7)}) as ${run.release.id} by ${run.ports.operator.name}: ${outcome}`,
  });

const reportNodes = (site: Site, observed: Observation, run: Run | null): readonly NodeReport[] =>
  site.nodes.map(({ name }) => {
    const state = nodeState(observed, name);
    const release = liveRelease(state);
    return {
      name,
      release,
      revision: release === null ? null : (releaseOn(state, release)?.revision ?? null),
      servers: serversOf(observed, name),
      serving: isServing(observed, name),
      heldOut: isHeldOut(observed, name),
      outMs: outOf(run, name),
    };
  });

function outOf(run: Run | null, name: string): number | null {
  const rotation = run?.rotation.get(name);
  if (!run || !rotation) return null;
  return rotation.leftAtMs === null
    ? rotation.outMs
    : rotation.outMs + run.ports.clock.nowMs() - rotation.leftAtMs;
}
