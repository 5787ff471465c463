import type { NodeName } from '../../core/node.ts';
import type { Held } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import { reportOf, type Session } from '../session.ts';
import { answeredBy, errorShare, isRestarted, plenty, type Tally, tallyOf } from '../tally.ts';
import type { World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Checker } from './checker.ts';

/**
 * No node gets a release before the holds that stand before it in the plan are gone through; and none is gone through,
 * but by a person, whose nodes answered too little, or failed where the others did not. A flip that is to bake has baked
 * before the run is done, or the one that goes on for it.
 */
export const judgedFirst: Checker = {
  name: 'judged-first',
  watch(world) {
    const begun = new Map<Session, Tally>();
    const passed = new Map<Session, Set<string>>();
    const promoted = new Map<Session, readonly string[]>();
    /** By the first of a chain of runs, the hold after its flip. */
    const unbaked = new Map<string, string>();
    return (event) => {
      noteFlips(event, unbaked);
      if (event.kind === 'ended') return unbakedAtEnd(event.session, unbaked);
      if (event.kind === 'planned') promoted.set(event.session, heldHolds(world));
      if (event.kind === 'switched') return unjudged(event, passed.get(event.by) ?? new Set());
      if (event.kind !== 'step' || event.step.kind !== 'hold') return null;
      const { session, step, state } = event;
      if (state === 'begins') begun.set(session, tallyOf(world));
      if (state !== 'done') return null;
      passed.set(session, (passed.get(session) ?? new Set()).add(step.name));
      const isPromoted = session.command === 'promote' && promoted.get(session)?.includes(step.name);
      return isPromoted ? null : wronglyPassed(world, session, step, begun.get(session)!);
    };
  },
};

/** That a hold is over stands on nodes, whether or not the run that wrote it lived to hear so. */
function noteFlips(event: WorldEvent, unbaked: Map<string, string>): void {
  if (event.kind === 'step' && event.step.kind === 'flip' && event.state === 'begins') {
    const { chain, plan } = event.session;
    const { to, share } = event.step;
    const steps = (plan?.steps ?? []).map(({ step }) => step);
    const at = steps.findIndex((step) => step.kind === 'flip' && step.to === to && step.share === share);
    const bake = steps.slice(at).find((step) => step.kind === 'hold' && step.flipped !== null);
    if (bake?.kind === 'hold') unbaked.set(chain, bake.name);
    else unbaked.delete(chain);
  }
  if (event.kind === 'effect' && event.what === `hold ${unbaked.get(event.by.chain)} is over`)
    unbaked.delete(event.by.chain);
}

function unbakedAtEnd(session: Session, unbaked: ReadonlyMap<string, string>): string | null {
  const bake = unbaked.get(session.chain);
  const isDone = session.command !== 'abort' && reportOf(session)?.outcome === 'done';
  return bake !== undefined && isDone
    ? `${session.name} is done, and hold ${bake} was not gone through`
    : null;
}

/** What a run that is held waits for, as it stands on the nodes. */
const heldHolds = ({ nodes }: World): readonly string[] =>
  [...nodes.values()].flatMap(({ disk: { held } }) =>
    held === null ? [] : [(JSON.parse(held.details) as Held).hold ?? ''],
  );

function unjudged(
  { by, node, release }: Extract<WorldEvent, { kind: 'switched' }>,
  passed: ReadonlySet<string>,
): string | null {
  if (by.plan === null || by.plan.purpose === 'recovery' || by.release?.id !== release) return null;
  const steps = by.plan.steps.map(({ step }) => step);
  const own = steps.findIndex(({ kind, nodes }) => kind === 'activate' && nodes.includes(node.name));
  const open = steps.slice(0, own).flatMap((step) => (step.kind === 'hold' ? [step.name] : []));
  const missing = open.filter((name) => !passed.has(name));
  return missing.length === 0
    ? null
    : `${by.name} put ${release} on ${node.name} before hold ${missing.join(', ')} was gone through`;
}

function wronglyPassed(
  world: World,
  session: Session,
  { name, nodes, judged }: StepOf<'hold'>,
  before: Tally,
): string | null {
  if (judged === null || isRestarted(world, before)) return null;
  const has = (node: NodeName): boolean => world.nodes.get(node)!.disk.current === judged.release;
  const ours = answeredBy(world, before, nodes.filter(has));
  const theirs = answeredBy(
    world,
    before,
    judged.others.filter((node) => !has(node)),
  );
  const least = Math.min(ours.requests, theirs.requests);
  if (least < judged.options.requestsMin)
    return `${session.name} went past hold ${name}, and one side answered ${least} requests`;
  const isWorse = least >= plenty && errorShare(ours) > 0.4 && errorShare(theirs) < 0.1;
  return isWorse
    ? `${session.name} went past hold ${name}, whose nodes failed ${ours.errors} of ${ours.requests} requests`
    : null;
}
