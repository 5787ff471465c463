import type { NodeName } from '../../core/node.ts';
import type { StepOf } from '../../core/step.ts';
import { isReachable } from '../balancer.ts';
import { isRun, type Session } from '../session.ts';
import { answeredBy, errorShare, isRestarted, plenty, type Tally, tallyOf } from '../tally.ts';
import { isReady, lastLookOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';
import { isTurned } from './told-again.ts';

/**
 * No run goes past the bake of a flip, be it of a part of the traffic, before its time, nor unless balancers sent the pool what the plan
 * says, and it bore that: its nodes went on serving, and did not fail requests where the pool before had not.
 */
export const bakedWell: Checker = {
  name: 'baked-well',
  watch(world) {
    const bakes = new Map<Session, Bake>();
    const planned = new Map<Session, Tally>();
    const measures = new Map<Session, Answered>();
    const idleSinceMs = new Map<NodeName, number>();
    return (event) => {
      for (const node of world.nodes.keys()) noteIdle(world, node, { idleSinceMs, bakes });
      if ((event.kind === 'share' || event.kind === 'flip') && isRun(event.by))
        for (const [session, bake] of bakes) if (session !== event.by) bake.isDisturbed = true;
      if (event.kind === 'planned' && !event.goesBack) planned.set(event.session, tallyOf(world));
      if (event.kind !== 'step') return null;
      const { session, step, state } = event;
      const start = planned.get(session);
      if (step.kind === 'flip' && state === 'begins' && start && !measures.has(session))
        measures.set(session, answeredUntilNow(world, start, step));
      if (step.kind !== 'hold' || step.flipped === null) return null;
      if (state === 'begins') bakes.set(session, bakeNow(world, idleSinceMs));
      const bake = bakes.get(session);
      if (state === 'begins' || bake === undefined) return null;
      bakes.delete(session);
      const flip = flipBefore(session, step);
      if (state === 'fails' || flip === null || session.command === 'promote') return null;
      return (
        cutShort(world, session, step, bake) ??
        wrongShare(world, session, { flip, bake }) ??
        lostNode(session, step, bake) ??
        wronglyPassed(world, session, { step, bake, before: measures.get(session) ?? null })
      );
    };
  },
};

type Hold = StepOf<'hold'>;
type Answered = ReturnType<typeof answeredBy> | null;

/** A hold that is under way. */
interface Bake {
  readonly sinceMs: number;
  readonly tally: Tally;
  /** Those that served when it began. */
  readonly serving: readonly NodeName[];
  /** Those of them that did not for so long that it must have been seen. */
  readonly lost: Set<NodeName>;
  /** Another run turned a balancer. */
  isDisturbed: boolean;
}

const bakeNow = (world: World, idleSinceMs: ReadonlyMap<NodeName, number>): Bake => ({
  sinceMs: world.clock.passedMs(),
  tally: tallyOf(world),
  serving: [...world.nodes.keys()].filter((node) => !idleSinceMs.has(node)),
  lost: new Set(),
  isDisturbed: false,
});

interface Noted {
  readonly idleSinceMs: Map<NodeName, number>;
  readonly bakes: ReadonlyMap<Session, Bake>;
}

function noteIdle(world: World, node: NodeName, { idleSinceMs, bakes }: Noted): void {
  const nowMs = world.clock.passedMs();
  if (isReady(world, node) || world.members.some((member) => !isReachable(member, nowMs))) {
    idleSinceMs.delete(node);
    return;
  }
  if (!idleSinceMs.has(node)) idleSinceMs.set(node, nowMs);
  for (const [{ frozenUntilMs }, { serving, lost, sinceMs }] of bakes) {
    const fromMs = Math.max(idleSinceMs.get(node)!, sinceMs, frozenUntilMs);
    if (serving.includes(node) && nowMs - fromMs > momentMs(world)) lost.add(node);
  }
}

/** In which a run looks twice. */
const momentMs = ({ faults: { mix } }: World): number =>
  mix.lostRequest + mix.lostReply + mix.slow + mix.balancerError + mix.staleRead > 0 ? 45_000 : 10_000;

/** What the pool answered that had the traffic. */
function answeredUntilNow(world: World, since: Tally, { nodes }: StepOf<'flip'>): Answered {
  const others = [...world.nodes.keys()].filter((name) => !nodes.includes(name));
  return isRestarted(world, since) ? null : answeredBy(world, since, others);
}

/** The one that the hold bakes; null: a run before did it. */
function flipBefore({ plan }: Session, { name }: Hold): StepOf<'flip'> | null {
  const steps = (plan?.steps ?? []).map(({ step }) => step);
  const at = steps.findIndex((step) => step.kind === 'hold' && step.name === name);
  return steps.slice(0, at).findLast((step) => step.kind === 'flip') ?? null;
}

function cutShort({ clock }: World, { name }: Session, { name: hold, forMs }: Hold, { sinceMs }: Bake) {
  const tookMs = clock.passedMs() - sinceMs;
  return tookMs < (forMs ?? 0) ? `${name} went past hold ${hold} after ${tookMs} ms of ${forMs}` : null;
}

/** What a balancer forgot, or was told by hand, since the run last looked it cannot know. */
function wrongShare(
  world: World,
  session: Session,
  { flip, bake }: { readonly flip: StepOf<'flip'>; readonly bake: Bake },
): string | null {
  if (bake.isDisturbed || world.disturbedAtMs >= bake.sinceMs || lastLookOf(world, session) < bake.sinceMs)
    return null;
  const astray = world.members.find((member) => member.isUp && !isTurned(member, flip));
  if (!astray) return null;
  const part = flip.share === undefined ? 'all' : `${flip.share} %`;
  return `${session.name} baked ${part} of the traffic at ${flip.to}, which ${astray.name} did not send there`;
}

function lostNode({ name }: Session, step: Hold, { lost }: Bake): string | null {
  const node = step.nodes.find((one) => lost.has(one));
  return node === undefined
    ? null
    : `${name} went past hold ${step.name}, in which ${node} did not serve for long`;
}

/** By figures of which nobody says that they are chance. */
function wronglyPassed(
  world: World,
  { name }: Session,
  { step, bake, before }: { readonly step: Hold; readonly bake: Bake; readonly before: Answered },
): string | null {
  if (before === null || isRestarted(world, bake.tally)) return null;
  const since = answeredBy(world, bake.tally, step.nodes);
  const enough = Math.max(plenty, 2 * step.flipped!.options.requestsMin);
  const isWorse = errorShare(since) > 0.4 && errorShare(before) < 0.02;
  return Math.min(before.requests, since.requests) >= enough && isWorse
    ? `${name} went past hold ${step.name}, whose pool failed ${since.errors} of ${since.requests} requests`
    : null;
}
