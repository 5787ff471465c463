import { type DeployError, failure, isDeployError, list } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import { isoTime } from '../core/instant.ts';
import type { Before, RunIntent } from '../core/intent.ts';
import type { PoolName } from '../core/node.ts';
import { backupOf, type Held, livePool, nodeState } from '../core/observation.ts';
import type { Plan } from '../core/plan.ts';
import type { Ports } from '../ports.ts';
import { type LookingPast, lookingPast, noMoreQuestions } from './absence.ts';
import { comeBack, copingWith, observePatiently } from './cope.ts';
import { executeRecovery, executeSteps, type Stop } from './execute.ts';
import { lookAtEnd } from './front.ts';
import { finishRun, holdRun, keepLock, takeLock } from './lock.ts';
import { assemble, observeSettledFront } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
import {
  type Aim,
  type Intent,
  type Proposed,
  planFor,
  proposeFrom,
  type RunRequest,
  releasesOn,
} from './propose.ts';
import { behindOf, type Ended, historyLine, judge, nothingDone, reportNodes } from './report.ts';
import {
  type Absences,
  emit,
  expected,
  newRun,
  newRunId,
  presentNodes,
  processesOf,
  type Run,
  textOf,
  together,
  writeLater,
} from './run.ts';
import { beginCounting } from './steps/after-flip.ts';
import { whenFree } from './wait-for-lock.ts';

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
  const ended = await settled(request, lookingPast(request.site, ports), id);
  const report = { ...ended, tookMs: ports.clock.nowMs() - startMs };
  emit(ports, { type: 'run-ended', run: id, report });
  return report;
}

async function settled(
  request: RunRequest & Intent,
  { ports, absences }: LookingPast,
  id: string,
): Promise<Ended> {
  const { site } = request;
  const warnings: string[] = [];
  try {
    return await whenFree(request, ports, async () => {
      const agreed = await agree(request, ports);
      if (agreed === 'refused') return nothingDone('refused', null);
      const { plan, observed } = agreed.proposal;
      const idle = plan.steps.length === 0 && !agreed.aim.takesOver;
      if (idle) return nothingDone('nothing to do', null, reportNodes(site, observed, null));
      return underLock(request, ports, { id, absences, warnings, ...agreed });
    });
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return { ...refusal(request, error), warnings };
  } finally {
    await noMoreQuestions(absences);
  }
}

/** What will be done, once whoever is asked has said yes. Nothing is touched, so a signal just ends it. */
async function agree(request: RunRequest & Intent, ports: Ports): Promise<Proposed | 'refused'> {
  try {
    const proposed = await proposeFrom(request, ports);
    const { plan } = proposed.proposal;
    emit(ports, { type: 'planned', plan });
    for (const node of proposed.skipped)
      emit(ports, {
        type: 'note',
        level: 'warning',
        text: `${node} cannot be reached: it is left out, and stays behind.`,
      });
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
  readonly absences: Absences;
  /** What must be said of a run that ends before it began. */
  readonly warnings: string[];
}

async function underLock(request: RunRequest & Intent, ports: Ports, agreed: Agreed): Promise<Ended> {
  const { site } = request;
  const { id, absences, proposal, aim, skipped, warnings } = agreed;
  const { release } = aim.target;
  const before = aim.before ?? releasesOn(proposal.observed);
  const reason = `${request.command} ${aim.wanted} as ${release.id}`;
  const pool = aim.pool ?? livePool(proposal.observed);
  const intent = intentOf(aim, before, pool);
  const from = aim.takesOver?.runs ?? [];
  const warn = (text: string): void => void warnings.push(text);
  const nodes = presentNodes({ site, skipped });
  const { withoutQuorum } = request;
  const locking = { site, ports, run: id, reason, intent, nodes, from, withoutQuorum, warn };
  const { states, voters, minority } = await takeLock({ ...locking, quorumFlag: '--without-quorum' });
  emit(ports, { type: 'locked', nodes: states.map(({ name }) => name) });
  const lost = new AbortController();
  const nodeStates = site.nodes.map(
    ({ name }) => states.find((state) => state.name === name) ?? nodeState(proposal.observed, name),
  );
  const observed = assemble(nodeStates, await observeSettledFront(ports));
  const signal = AbortSignal.any([request.signal, lost.signal]);
  const run = newRun({
    id,
    site,
    ports,
    voters,
    minority,
    skipped,
    release,
    observed,
    signal,
    promotes: aim.promotes,
    absences,
    processes: processesOf(proposal.observed),
  });
  run.warnings.push(...warnings.splice(0));
  if (minority)
    run.warnings.push(`The lock was held by ${minority} of those that vote, by the operator's word.`);
  const keeping = keepLock(run, (error) => lost.abort(error));
  try {
    const plan = await planUnderLock(run, agreed);
    return await toTheEnd(request, run, { plan, aim, before, pool });
  } finally {
    await keeping.stop();
    await run.artifact?.discard();
  }
}

/** What whoever comes after a crash must know. A run that goes back for a dead one keeps what that one set out to do. */
const intentOf = (
  { purpose, wanted, target, takesOver }: Aim,
  before: Before,
  pool: PoolName | null,
): RunIntent => ({
  purpose: purpose === 'recovery' ? (takesOver?.intent.purpose ?? 'deploy') : purpose,
  wanted,
  release: target.release,
  nodes: target.nodes,
  before,
  pool,
  onceAs: target.onceAs ?? target.release.id,
});

/**
 * The plan again, from what is so under the lock: what was agreed to must still be the plan, or the lock is given
 * back. Only a run that goes on for a dead one goes by the new plan: it leads to the same place, and the lock that says
 * where must not be lost.
 */
async function planUnderLock(run: Run, { proposal, aim, warnings }: Agreed): Promise<Plan> {
  try {
    refuseUnfit(run.site, run.observed, { skipped: run.skipped });
    const plan = planFor(run.site, run.observed, aim);
    const same =
      JSON.stringify(plan.steps) === JSON.stringify(proposal.plan.steps) &&
      JSON.stringify(releasesOn(run.observed)) === JSON.stringify(releasesOn(proposal.observed));
    if (!same && !aim.takesOver) throw failure('SITE_CHANGED', {});
    return plan;
  } catch (error) {
    if (isDeployError(error) && !aim.takesOver) {
      warnings.push(...(await finishRun(run, { logLine: null, historyLine: null })));
    } else if (isDeployError(error)) {
      const nodes = list(run.site.nodes.map(({ name }) => name));
      warnings.push(`What the run left that died is still to be done: the lock stays on ${nodes}.`);
    }
    throw error;
  }
}

interface Course {
  readonly plan: Plan;
  readonly aim: Aim;
  readonly before: Before;
  readonly pool: PoolName | null;
}

async function toTheEnd(request: RunRequest & Intent, run: Run, course: Course): Promise<Ended> {
  const { plan, aim, before, pool } = course;
  const first = run.observed;
  const journey = aim.purpose === 'recovery' ? null : { before, pool, target: aim.target };
  const steps = plan.steps.map(({ step }) => step);
  takeOnMarks(run, aim);
  if (journey) await beginCounting(steps, run);
  const stop = journey
    ? await executeSteps(steps, run, copingWith(request, run, journey))
    : await goBack(plan, run);
  const { recovered, held } = stop
    ? await comeBack(request, run, { journey, stop })
    : { recovered: true, held: false };
  await lookAtEnd(run);
  const last = await observePatiently(run);
  const verdict = judge(run, {
    aim,
    before,
    pool,
    stop,
    recovered,
    held,
    first,
    last,
    signal: request.signal,
  });
  const lockWarnings = await writeEnd(request, run, { aim, stop, outcome: verdict.outcome });
  return {
    ...verdict,
    failure: stop && textOf(stop.error),
    warnings: [...run.warnings, ...lockWarnings],
    behind: behindOf(run),
    backup: aim.purpose === 'rollback' ? null : backupOf(last, aim.target.release.id),
    nodes: reportNodes(request.site, last, run),
  };
}

/**
 * What was done once for an attempt that was cut off is done for the release that took its place: whoever looks for it
 * later, such as the deploy that contracts its schema, knows only that name.
 */
function takeOnMarks(run: Run, { purpose, target: { release, onceAs = release.id } }: Aim): void {
  if (purpose !== 'deploy' || onceAs === release.id) return;
  const hooks = Object.values(run.observed.nodes).flatMap(({ once }) =>
    once.flatMap((mark) => (mark.release === onceAs && mark.state === 'done' ? mark.hook : [])),
  );
  for (const { name } of presentNodes(run))
    writeLater(
      run,
      name,
      null,
      [...new Set(hooks)].map((hook) => ({ release: release.id, mark: 'once', hook })),
    );
}

/** An abort: each node for itself, as far as it goes. */
async function goBack(plan: Plan, run: Run): Promise<Stop | null> {
  const failures = await executeRecovery(plan, run);
  const step = plan.steps.at(-1)?.step;
  return failures.length === 0 || !step ? null : { error: together(failures), step, left: [], policy: null };
}

interface End {
  readonly aim: Aim;
  readonly stop: Stop | null;
  readonly outcome: Report['outcome'];
}

/** Into the logs of every node; the lock is given back, or kept for a person. */
function writeEnd({ command }: Intent, run: Run, { aim, stop, outcome }: End): Promise<readonly string[]> {
  const { wanted, logLine } = aim;
  const line = historyLine(run, { command, wanted, outcome });
  if (outcome === 'held' && stop) return holdRun(run, heldBy(run, stop), line);
  const isLive = outcome === 'done' || outcome === 'done in part';
  return finishRun(run, { logLine: isLive ? logLine : null, historyLine: line });
}

const heldBy = ({ ports }: Run, { error, step }: Stop): Held => ({
  since: isoTime(ports.clock.nowMs()),
  why: error.code === 'HELD' ? String(error.details.why) : `it failed: ${error.message.replace(/\.$/, '')}`,
  hold: step.kind === 'hold' ? step.name : null,
});
