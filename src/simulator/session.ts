import type { Report } from '../core/event.ts';
import type { NodeName } from '../core/node.ts';
import type { Plan } from '../core/plan.ts';
import type { Release, ReleaseId } from '../core/release.ts';
import type { Step } from '../core/step.ts';

/** One call of the engine, from its start to its end or its sudden death: what is known of it from outside. */
export interface Session {
  readonly name: string;
  readonly command: SessionCommand;
  /** The first of the runs that go on for one another. */
  readonly chain: string;
  readonly startedAtMs: number;
  /** The operator's Ctrl-C. */
  readonly stop: AbortController;
  readonly doom: Doom;
  /** The process is gone: no answer reaches it, and nothing of it goes on. */
  isDead: boolean;
  /** The process stands still until then, as on a laptop that sleeps: it hears nothing, and its clock goes on. */
  frozenUntilMs: number;
  /** How it ended; null while it goes on, and for ever if it died. */
  end: SessionEnd | null;
  /** The lock's number, once it is known. */
  run: string | null;
  /** Each that it had: nodes that joined are brought on by runs of their own. */
  readonly runs: Set<string>;
  plan: Plan | null;
  step: Step | null;
  /** The release that it brings live, once it is planned. */
  release: Release | null;
  /** Nodes that the list had when the first of a chain of runs began. */
  readonly had: readonly NodeName[];
  /** Those that it had beside them when it was read last. */
  joined: readonly NodeName[];
  /** Nodes that it goes on without. */
  readonly leftOut: Set<NodeName>;
  /** When it first knew what it would do, which it drew from what it saw; infinite: not yet. */
  plannedAtMs: number;
  /** What it asked of its ports, in order. */
  readonly calls: string[];
  /** Changes that it made to nodes and balancers so far. */
  effects: number;
  /** The moment that the answer showed which came last, of each member and address: one may overtake another. */
  readonly looks: Map<string, number>;
  /** What each node had live when the first of a chain of runs (deploy, resume, …) began. */
  before: ReadonlyMap<NodeName, ReleaseId | null>;
}

/** What becomes of the process at its n-th call of a port. */
export interface Doom {
  /** It dies: before the question is out, or with the question out and the answer never heard. */
  readonly death: { readonly atCall: number; readonly isSent: boolean } | null;
  readonly signal: { readonly atCall: number; readonly name: 'SIGINT' | 'SIGTERM' } | null;
}

export const noDoom: Doom = { death: null, signal: null };

export type SessionCommand =
  | 'deploy'
  | 'rollback'
  | 'resume'
  | 'abort'
  | 'promote'
  | 'sync'
  | 'flip'
  | 'flip back'
  | 'unlock'
  | 'drain'
  | 'enable'
  | 'cron';

export type SessionEnd =
  | { readonly kind: 'report'; readonly report: Report }
  /** A command that has no report. */
  | { readonly kind: 'done' }
  /** A bug, or the refusal of a command that has no report. */
  | { readonly kind: 'thrown'; readonly error: unknown };

/** Who did something: a run, a person at the balancers, or bad luck. */
export type Actor = Session | 'operator' | 'fault';

export const nameOf = (actor: Actor): string => (typeof actor === 'string' ? actor : actor.name);

export const isRun = (actor: Actor): actor is Session => typeof actor !== 'string';

/** A person takes nodes out at the balancers, or has `sluice drain` do it. */
export const isByHand = (actor: Actor): boolean =>
  actor === 'operator' || (isRun(actor) && actor.command === 'drain');

/** It goes on: it neither ended nor died. */
export const isUnderWay = ({ isDead, end }: Session): boolean => !isDead && end === null;

export const reportOf = ({ end }: Session): Report | null => (end?.kind === 'report' ? end.report : null);
