import type { Duty } from '../core/hook.ts';
import type { NodeName, PoolName } from '../core/node.ts';
import type { ServerState } from '../core/observation.ts';
import type { Plan } from '../core/plan.ts';
import type { ReleaseId } from '../core/release.ts';
import type { BalancerName } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import type { SimulatedAddress } from './address.ts';
import type { Member, Server } from './balancer.ts';
import type { SimulatedNode } from './node.ts';
import { type Actor, nameOf, type Session } from './session.ts';

/** What happens in the world, and who did it. Checkers are told each one just after it happened. */
export type WorldEvent =
  | { readonly kind: 'started'; readonly session: Session }
  | { readonly kind: 'ended'; readonly session: Session }
  | { readonly kind: 'died'; readonly session: Session }
  /** A call of a port went out, or was answered. */
  | { readonly kind: 'call'; readonly session: Session; readonly text: string }
  /** What the run will do from here. */
  | {
      readonly kind: 'planned';
      readonly session: Session;
      readonly plan: Plan;
      /** After a failure or a signal. */
      readonly goesBack: boolean;
    }
  | {
      readonly kind: 'step';
      readonly session: Session;
      readonly step: Step;
      readonly state: 'begins' | 'done' | 'fails';
    }
  /** Where a balancer sends requests from now on. */
  | {
      readonly kind: 'rotation';
      readonly member: Member;
      readonly server: Server;
      readonly from: ServerState['rotation'];
      readonly by: Actor;
    }
  /** How many of them it sends there. */
  | { readonly kind: 'weight'; readonly member: Member; readonly server: Server; readonly by: Actor }
  /** A part of its new requests goes to this pool, the others to the other one. */
  | { readonly kind: 'share'; readonly member: Member; readonly to: PoolName; readonly by: Actor }
  /** All its new requests go to a pool; they went to `from`, or to both. */
  | { readonly kind: 'flip'; readonly member: Member; readonly from: PoolName; readonly by: Actor }
  /** Visitors come to another balancer. */
  | { readonly kind: 'address'; readonly address: SimulatedAddress; readonly from: BalancerName }
  | { readonly kind: 'health'; readonly member: Member; readonly server: Server }
  /** A command of a run changed something on a node, its own lock's heartbeat apart. */
  | {
      readonly kind: 'effect';
      readonly node: SimulatedNode;
      readonly by: Session;
      /** The lock's number that the command carried. */
      readonly run: string;
      readonly what: string;
    }
  /** What runs on a node changed: `current` leads elsewhere, and the application starts anew. */
  | {
      readonly kind: 'switched';
      readonly node: SimulatedNode;
      readonly by: Session;
      readonly release: ReleaseId;
      /** When the command left the engine. */
      readonly sentAtMs: number;
      /** Requests that ran on the node, each by the member that sent it. */
      readonly cut: readonly Request[];
    }
  | {
      readonly kind: 'received';
      readonly node: SimulatedNode;
      readonly by: Session;
      readonly release: ReleaseId;
    }
  | {
      readonly kind: 'removed';
      readonly node: SimulatedNode;
      readonly by: Session;
      readonly release: ReleaseId;
    }
  | {
      readonly kind: 'hook';
      readonly node: SimulatedNode;
      readonly by: Session;
      readonly hook: string;
      readonly once: boolean;
      readonly duty: Duty | null;
      readonly closesWayBack: boolean;
      readonly release: ReleaseId;
      readonly state: 'began' | 'done' | 'failed';
    }
  | {
      readonly kind: 'answered';
      readonly node: SimulatedNode;
      readonly path: string;
      readonly release: ReleaseId;
      readonly isGood: boolean;
    }
  /** A job of the site's cron. */
  | { readonly kind: 'job'; readonly node: SimulatedNode; readonly state: 'begins' | 'ended' }
  /** What works on the jobs of a queue there. */
  | { readonly kind: 'worker'; readonly node: SimulatedNode; readonly state: 'starts' | 'is cut' }
  | { readonly kind: 'lock'; readonly node: SimulatedNode; readonly by: Session; readonly what: string }
  | { readonly kind: 'fault'; readonly what: string; readonly node: NodeName | null };

export interface Request {
  readonly member: Member;
  readonly server: Server;
  readonly startedAtMs: number;
  /** The release that answers it does not work: the answer will be an error. */
  readonly isFailing: boolean;
  /** When the process that serves it gave way to another, which does not know of it; null: it did not. */
  leftBehindAtMs: number | null;
}

type Texts = {
  readonly [K in WorldEvent['kind']]: (event: Extract<WorldEvent, { kind: K }>) => string;
};

const texts: Texts = {
  started: ({ session }) => `${session.name} starts: ${session.command}`,
  ended: ({ session }) => `${session.name} ends: ${endText(session)}`,
  died: ({ session }) => `${session.name} dies`,
  call: ({ session, text }) => `${session.name} ${text}`,
  planned: ({ session, plan }) => `${session.name} plans: ${plan.summary}`,
  step: ({ session, step, state }) => `${session.name} step ${step.kind} ${step.nodes.join(' ')} ${state}`,
  rotation: ({ server, from, by }) => `${server.id}: ${from} -> ${server.rotation} by ${nameOf(by)}`,
  weight: ({ server, by }) => `${server.id}: weight ${server.weight} % by ${nameOf(by)}`,
  share: ({ member, to, by }) =>
    `${member.name}: ${member.share?.percent} % of requests to ${to} by ${nameOf(by)}`,
  flip: ({ member, by }) => `${member.name}: all requests to ${member.pool} by ${nameOf(by)}`,
  address: ({ address, from }) => `${address.name} moves from ${from} to ${address.holder}`,
  health: ({ server }) => `${server.id} is ${server.health}`,
  effect: ({ node, by, what }) => `${node.name}: ${what} by ${by.name}`,
  switched: ({ node, by, release, cut }) =>
    `${node.name}: ${release} starts, ${cut.length} requests cut, by ${by.name}`,
  received: ({ node, by, release }) => `${node.name}: ${release} is whole, by ${by.name}`,
  removed: ({ node, by, release }) => `${node.name}: ${release} is gone, by ${by.name}`,
  hook: ({ node, by, hook, release, state }) => `${node.name}: ${hook} of ${release} ${state}, by ${by.name}`,
  answered: ({ node, path, release, isGood }) =>
    `${node.name} answers ${path} as ${release}${isGood ? '' : ', failing'}`,
  job: ({ node, state }) => `${node.name}: a job of the cron ${state}`,
  worker: ({ node, state }) =>
    `${node.name}: the worker ${state === 'starts' ? `starts in ${node.worker.release}` : state}`,
  lock: ({ node, by, what }) => `${node.name}: lock ${what} by ${by.name}`,
  fault: ({ node, what }) => `fault: ${node === null ? '' : `${node} `}${what}`,
};

function endText({ end }: Session): string {
  if (end === null) return 'it goes on';
  if (end.kind === 'done') return 'done';
  if (end.kind === 'thrown') return `throws ${String(end.error)}`;
  const { report } = end;
  return `${report.outcome} (${report.exit})${report.failure ? `: ${report.failure.message}` : ''}`;
}

/** One line of the trace, without its time. */
export const eventText = (event: WorldEvent): string =>
  (texts[event.kind] as (event: WorldEvent) => string)(event);
