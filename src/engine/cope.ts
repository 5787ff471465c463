import { note } from '../commands/note.ts';
import { type ErrorCode, failure, isDeployError } from '../core/errors.ts';
import type { Before } from '../core/intent.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import { closedBy, type Observation } from '../core/observation.ts';
import { hookNodes, makePlan } from '../core/plan.ts';
import { closedWays, recovery } from '../core/recovery.ts';
import type { OnFailure } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import type { Target } from '../core/target.ts';
import { departed } from './departed.ts';
import { type Coping, type Decision, executeRecovery, type Stop } from './execute.ts';
import { renewLocks } from './lock.ts';
import { observe, observeSettledFront, patienceMs } from './observe.ts';
import type { RunRequest } from './propose.ts';
import {
  emit,
  expected,
  fenceFor,
  goneNodes,
  type NodeFailure,
  onNode,
  presentNodes,
  type Run,
  withoutLocks,
} from './run.ts';
import { executeStep } from './steps/index.ts';

/** Where the nodes of a run came from, and where they are to go. */
export interface Journey {
  readonly before: Before;
  /** The pool that got the traffic when all this began. */
  readonly pool: PoolName | null;
  readonly target: Target;
}

/**
 * What is done about nodes that fail: those that are gone are no matter any more; those within the site's budget are left out, and brought back to what they had
 * before others leave rotation. Beyond it whoever can be asked is asked; else the run stops.
 */
export const copingWith = (
  { decide, lists }: Pick<RunRequest, 'decide' | 'lists'>,
  run: Run,
  journey: Journey,
): Coping => ({
  async decide(step, all): Promise<Decision> {
    if (run.signal.aborted || all.some(({ error }) => neverMended.includes(error.code))) return 'stop';
    const gone = lists ? await departed(run, lists, all) : [];
    const failures = all.filter(({ node }) => node === null || !gone.includes(node));
    if (failures.length === 0) return 'leave out';
    // A pool is whole, or it does not go live.
    const mayLeaveOut = journey.pool === null && isOfSomeNodes(step, failures);
    if (mayLeaveOut && isWithinBudget(run, failures) && isReleaseShown(run, step, failures, journey))
      return 'leave out';
    return decide === null ? 'stop' : decide({ step, failures, mayLeaveOut });
  },
  bringBack: () => bringBack(run, journey),
});

/** Neither by another attempt nor by leaving a node out. */
const neverMended: readonly ErrorCode[] = [
  'LOCK_LOST',
  'INTERRUPTED',
  'FLOOR_AT_RISK',
  'HELD',
  'BAKE_FAILED',
  'BAKE_UNPROVED',
  'BAKE_WORSE',
  'CANARY_FAILED',
];

const isOfSomeNodes = (step: Step, failures: readonly NodeFailure[]): boolean =>
  failures.every(({ node }) => node !== null) && !(step.kind === 'hook' && step.once);

const isWithinBudget = ({ leftOut, skipped, site }: Run, failures: readonly NodeFailure[]): boolean =>
  skipped.length + leftOut.size - goneNodes({ leftOut }).length + failures.length <= site.failuresMax;

/** A release that is not yet shown to work anywhere is not put on other nodes while it is what may have failed. */
function isReleaseShown(
  run: Run,
  step: Step,
  failures: readonly NodeFailure[],
  { target }: Journey,
): boolean {
  if (!['activate', 'check', 'enable'].includes(step.kind) || failures.length < step.nodes.length)
    return true;
  return target.nodes.some((name) => run.observed.nodes[name]?.proved === target.release.id);
}

/** Each node once: what does not come back stays out of rotation, and is said. */
async function bringBack(run: Run, { before, pool, target }: Journey): Promise<void> {
  const nodes = [...run.leftOut].flatMap(([node, state]) => (state === 'as it failed' ? [node] : []));
  if (nodes.length === 0) return;
  const { failed } = await recover(
    run,
    { policy: 'rollback-batch', before, pool, target: { ...target, nodes } },
    { leavesCron: true },
  );
  for (const node of nodes)
    run.leftOut.set(node, failed.includes(node) ? 'did not come back' : 'brought back');
}

export interface Outcome {
  /** Whether every node came back as it should; what did not is a warning. */
  readonly recovered: boolean;
  /** What the policy left to a person: the run is to be held. */
  readonly held: boolean;
}

/**
 * The way on after a failure or a signal, once and never again. A run that lost its lock may touch nothing, not even
 * to mend; one that failed after its last change of a node has nothing to take back.
 */
export async function comeBack(
  request: RunRequest,
  run: Run,
  { journey, stop }: { readonly journey: Journey | null; readonly stop: Stop },
): Promise<Outcome> {
  const lost = { recovered: false, held: false };
  if (stop.error.code === 'HELD') return { recovered: true, held: true };
  run.failureText = stop.error.message;
  if (stop.error.code === 'LOCK_LOST') return lost;
  const loss = await renewLocks(run);
  if (loss) {
    run.warnings.push(loss.message);
    return lost;
  }
  const interrupted = request.signal.aborted;
  if (interrupted) emit(run.ports, { type: 'interrupted', signal: String(request.signal.reason) });
  const calm: Run = { ...run, signal: new AbortController().signal };
  const policy = interrupted ? 'interrupted' : policyAfter(stop, run);
  const way = journey === null ? null : await recover(calm, { policy, ...journey });
  await failedHooks(calm);
  return { recovered: way?.failed.length === 0, held: way?.policy === 'hold' };
}

function policyAfter({ error, left, policy }: Stop, { site }: Run): OnFailure {
  const chosen = policy ?? site.onFailure;
  // The batch that failed is all that has the release, and it is in rotation.
  if (error.code === 'CANARY_FAILED') return chosen === 'rollback-batch' ? 'rollback' : chosen;
  // What a hold showed not to hold, or has not shown yet, is taken back, be it the last step.
  return left.some((one) => one.kind === 'hold' || changesNodes(one)) ? chosen : 'halt';
}

const changesNodes = ({ kind }: Step): boolean =>
  !['fetch', 'cleanup', 'hook', 'hold', 'preview', 'shift', 'cron', 'maintenance'].includes(kind);

interface Way {
  /** The nodes that did not come back; all of them if there is no way. */
  readonly failed: readonly NodeName[];
  /** Where the migration closed the way back: `hold`, whatever was asked for. */
  readonly policy: OnFailure | 'interrupted';
}

async function recover(
  run: Run,
  { policy: asked, before, pool, target }: Journey & Pick<Way, 'policy'>,
  { leavesCron }: { readonly leavesCron: boolean } = { leavesCron: false },
): Promise<Way> {
  const { site, ports } = run;
  let policy = asked;
  try {
    await writeDown(run);
    run.observed = withoutLocks(await observePatiently(run));
    const { release, onceAs = release.id } = target;
    const [closed] =
      asked === 'halt' ? [] : closedWays(run.observed, { before, nodes: target.nodes, onceAs });
    if (closed && asked !== 'hold') {
      policy = 'hold';
      run.warnings.push(
        failure('IRREVERSIBLE', { release: closed, closedBy: closedBy(run.observed, closed) ?? onceAs })
          .message,
      );
    }
    if (policy !== 'halt' && policy !== 'hold') letGo(run, target);
    const strategy = recovery({ policy, before, pool, servingMin: site.servingMin });
    const { observed } = run;
    const plan = makePlan({ site, strategy, purpose: 'recovery', observed, target, leavesCron });
    if (plan.steps.length === 0) return { failed: stuck(policy, asked, target), policy };
    emit(ports, { type: 'recovering', policy, plan });
    const failures = await executeRecovery(plan, run);
    for (const { node, error } of failures) {
      run.warnings.push(`${node ?? 'the fleet'} did not come back: ${error.message}`);
    }
    const failed = failures.flatMap(({ node }) => node ?? target.nodes);
    return { failed: [...failed, ...stuck(policy, asked, target)], policy };
  } catch (error) {
    if (!isDeployError(error)) throw error;
    run.warnings.push(`The way back could not be planned: ${error.message}`);
    return { failed: target.nodes, policy };
  }
}

/** Nobody is on trial any more, and no pool is flipped to: what balancers forgot of that is as it should be. */
function letGo(run: Run, { nodes }: Target): void {
  for (const node of nodes) run.weights.delete(node);
  run.flipped = null;
}

/** Where the way back is closed, nodes that were left out do not come back. */
const stuck = (policy: Way['policy'], asked: Way['policy'], { nodes }: Target): readonly NodeName[] =>
  policy === asked ? [] : nodes;

/** What cannot be read, or is just being checked, is looked at again for a moment: it may just restart. */
export async function observePatiently(run: Run): Promise<Observation> {
  const { site, ports } = run;
  const away = [...run.skipped, ...goneNodes(run)];
  const deadlineMs = ports.clock.nowMs() + patienceMs;
  for (;;) {
    const observed = await observe(site, ports, undefined, observeSettledFront);
    const nodes = Object.values(observed.nodes).filter(({ name }) => !away.includes(name));
    const all = [...nodes, ...observed.balancers];
    const isWhole = all.every(({ unreachable }) => unreachable === null);
    if (isWhole || ports.clock.nowMs() >= deadlineMs) return observed;
    await ports.clock.sleep(250);
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

/** Notices of a failure go out whatever happens, once what can be is put back; one that fails as well is a warning. */
async function failedHooks(run: Run): Promise<void> {
  const all = presentNodes(run).map((node) => node.name);
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
