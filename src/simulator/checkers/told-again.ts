import type { NodeName } from '../../core/node.ts';
import type { Step, StepOf } from '../../core/step.ts';
import { isReachable, type Member } from '../balancer.ts';
import { isUnderWay, type Session } from '../session.ts';
import { isReady, mayBeAway, type World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Checker } from './checker.ts';

/**
 * A balancer that starts anew and forgets is soon told again what a run at work had set: the weights of nodes on trial, and
 * the pool that it flipped to, unless that could not bear it just now. A run that goes back wants none of that any more.
 */
export const toldAgain: Checker = {
  name: 'told-again',
  watch(world) {
    const runs = new Map<Session, Told>();
    const forgot = new Set<Member>();
    const turnedAtMs = new Map<NodeName, number>();
    return (event) => {
      if (event.kind === 'planned' && event.goesBack) runs.delete(event.session);
      if (event.kind === 'step') note(world, runs, event);
      if (event.kind === 'flip') forgot[event.by === 'fault' ? 'add' : 'delete'](event.member);
      if (event.kind === 'share') forgot.delete(event.member);
      if (event.kind === 'health') turnedAtMs.set(event.server.node, world.clock.passedMs());
      if (event.kind !== 'call') return null;
      const { session } = event;
      const told = runs.get(session);
      if (!told || told.beganAtMs === null || !isUnderWay(session)) return null;
      for (const member of world.members.filter((one) => isDue(world, one, session, told))) {
        if (
          told.flip !== null &&
          !isTurned(member, told.flip) &&
          forgot.has(member) &&
          bears(world, told.flip, turnedAtMs)
        )
          return `${session.name} flipped to ${told.flip.to}, which ${member.name} forgot and is not told again`;
        for (const [node, percent] of told.weights)
          if (member.servers.get(node)!.weight > percent)
            return `${session.name} gave ${node} ${percent} %, which ${member.name} forgot and is not told again`;
      }
      return null;
    };
  },
};

interface Told {
  /** When the step that is under way began; null: between steps. */
  readonly beganAtMs: number | null;
  readonly weights: ReadonlyMap<NodeName, number>;
  readonly flip: StepOf<'flip'> | null;
}

const nothing: Told = { beganAtMs: null, weights: new Map(), flip: null };

/** It sends requests where the flip says. */
export const isTurned = ({ pool, share: has }: Member, { to, share }: StepOf<'flip'>): boolean =>
  share === undefined ? pool === to : has?.to === to && has.percent === share;

/** For a while: the pool has what the floor asks for. */
function bears(world: World, { nodes }: StepOf<'flip'>, turnedAtMs: ReadonlyMap<NodeName, number>): boolean {
  const longAgoMs = world.clock.passedMs() - momentMs(world);
  const bearing = nodes.filter(
    (node) => isReady(world, node) && (turnedAtMs.get(node) ?? Number.NEGATIVE_INFINITY) < longAgoMs,
  );
  return bearing.length >= Math.max(1, world.site.servingMin);
}

function note(
  { clock }: World,
  runs: Map<Session, Told>,
  { session, step, state }: Extract<WorldEvent, { kind: 'step' }>,
): void {
  const { weights, flip } = runs.get(session) ?? nothing;
  const isSetter = step.kind === 'shift' || step.kind === 'flip';
  runs.set(session, {
    beganAtMs: state === 'begins' && !isSetter ? clock.passedMs() : null,
    weights: step.kind === 'shift' ? weighed(weights, step, state === 'done') : weights,
    flip: step.kind === 'flip' ? (state === 'done' ? step : null) : flip,
  });
}

function weighed(
  weights: ReadonlyMap<NodeName, number>,
  { nodes, to }: Extract<Step, { kind: 'shift' }>,
  isDone: boolean,
): ReadonlyMap<NodeName, number> {
  const others = [...weights].filter(([node]) => !nodes.includes(node));
  const own = isDone && to < 100 ? nodes.map((node) => [node, to] as const) : [];
  return new Map([...others, ...own]);
}

/** The run saw it since it could be told for a while, in this step. One that it may go on without is told when the step is over. */
function isDue(world: World, member: Member, session: Session, { beganAtMs }: Told): boolean {
  const nowMs = world.clock.passedMs();
  const sinceMs = Math.max(
    beganAtMs ?? nowMs,
    member.replacedAtMs,
    member.cutOffUntilMs,
    session.frozenUntilMs,
  );
  const seenAtMs = session.looks.get(member.name) ?? 0;
  return isReachable(member, nowMs) && !mayBeAway(world, member) && seenAtMs - sinceMs > momentMs(world);
}

/**
 * In which a run looks again and is heard; it asks nodes first whether it holds them, and may wait for their answers in vain. A
 * balancer that now and then does not answer may be asked some times, a second from one to the next.
 */
function momentMs({ faults: { mix } }: World): number {
  if (mix.lostRequest + mix.lostReply + mix.slow > 0) return 40_000;
  return mix.balancerError > 0 ? 8000 : 3000;
}
