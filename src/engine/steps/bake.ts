import { answeredBetween, type Compared, type Counted } from '../../core/counts.ts';
import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { isServing, liveRelease, nodeState, type Observation, serversOf } from '../../core/observation.ts';
import type { Judged, StepOf } from '../../core/step.ts';
import { judge } from '../../core/verdict.ts';
import { emit, interruption, type Run } from '../run.ts';
import { countAll } from '../settle/counted.ts';
import { readAll } from '../settle/look.ts';
import { setWeights } from '../settle/weights.ts';
import { noteEnd, watchFlipped } from './after-flip.ts';

type Hold = StepOf<'hold'>;

/**
 * Lets a hold's time pass. Throws `BAKE_FAILED` if a node that served at the beginning was seen twice not to serve; at
 * the end of one that is judged `CANARY_FAILED`, or `HELD` where nothing can be said for sure; after a flip `BAKE_WORSE`
 * or `BAKE_UNPROVED` as soon as that is seen.
 */
export async function bake(step: Hold, forMs: number, run: Run): Promise<void> {
  if (step.flipped !== null) {
    const watched = await watchFlipped(step, step.flipped, run);
    await watch(step, forMs, run, watched.look);
    return noteEnd(step.name, watched, run);
  }
  if (step.judged === null) return watch(step, forMs, run);
  const { verdict, reason } = judge(await compare(step, step.judged, forMs, run), step.judged.options);
  if (verdict === 'fail') throw failure('CANARY_FAILED', { name: step.name, reason });
  if (verdict === 'inconclusive') {
    throw failure('HELD', { why: `hold ${step.name} ended without a verdict. ${reason.replace(/\.$/, '')}` });
  }
  emit(run.ports, { type: 'note', level: 'info', text: `Hold ${step.name} is passed. ${reason}` });
}

async function watch(
  { name, nodes }: Hold,
  forMs: number,
  run: Run,
  look: () => Promise<void> = async () => {},
): Promise<void> {
  const { clock } = run.ports;
  const deadlineMs = clock.nowMs() + forMs;
  const served = nodes.filter((node) => isServing(run.observed, node));
  let idle: readonly string[] = [];
  while (clock.nowMs() < deadlineMs) {
    await clock.sleep(Math.min(lookEveryMs, deadlineMs - clock.nowMs()), run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
    await rememberWeights(run, nodes);
    const { members, servers } = await readAll(run);
    const observed = { ...run.observed, balancers: members, servers };
    const now = served.filter((node) => !isServing(observed, node));
    const node = now.find((one) => idle.includes(one));
    if (node) throw failure('BAKE_FAILED', { name, node, seen: seenOf(observed, node) });
    idle = now;
    await look();
  }
}

const lookEveryMs = 2000;

const seenOf = (observed: Observation, node: string): string =>
  serversOf(observed, node)
    .map(({ server, rotation, health }) => `${server} is ${rotation} and ${health}`)
    .join(', ');

/** A balancer that was restarted has forgotten the weights that this run set. */
function rememberWeights(run: Run, nodes: readonly NodeName[]): Promise<void> {
  const weights = new Map(run.observed.servers.map(({ server, weight }) => [server, weight]));
  const lowered = nodes.filter((node) => serversOf(run.observed, node).some(({ weight }) => weight < 100));
  return setWeights(run, {
    nodes: lowered,
    weightOf: ({ server }) => Math.round(weights.get(server) ?? 100),
  });
}

/**
 * What both sides answered in the hold's time. Where a balancer was restarted in between its counters say nothing, and
 * the time begins anew; once, for a balancer that restarts again and again is for a person to look at.
 */
async function compare(step: Hold, judged: Judged, forMs: number, run: Run): Promise<Compared> {
  const sides = sidesOf(step, judged, run);
  if (sides.canary.length === 0) return { kind: 'unknown', because: 'none of its nodes serves the release' };
  if (sides.others.length === 0) return { kind: 'unknown', because: 'no other node serves' };
  for (let isFirst = true; ; isFirst = false) {
    await rememberWeights(run, sides.canary);
    const before = await countAll(run);
    await watch(step, forMs, run);
    const after = await countAll(run);
    if (incarnationsOf(before) === incarnationsOf(after) || !isFirst) {
      return answeredBetween(before, after, sides);
    }
    const text = `A balancer was restarted during hold ${step.name}: its time begins anew.`;
    emit(run.ports, { type: 'note', level: 'warning', text });
  }
}

/** Those that serve, of what they are to have: a node that was left out has another release by now, or none. */
function sidesOf({ nodes }: Hold, { release, others }: Judged, { observed, leftOut }: Run) {
  const serving = (names: readonly NodeName[]): readonly NodeName[] =>
    names.filter((name) => isServing(observed, name) && !leftOut.has(name));
  const has = (name: NodeName): boolean => liveRelease(nodeState(observed, name)) === release;
  return { canary: serving(nodes).filter(has), others: serving(others).filter((name) => !has(name)) };
}

const incarnationsOf = ({ members }: Counted): string =>
  JSON.stringify(members.map(({ member, incarnation }) => [member, incarnation]));
