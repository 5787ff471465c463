import type { ExitStatus } from './errors.ts';
import type { FleetIntent } from './fleet-log.ts';
import type { NodeName } from './node.ts';
import type { BackupPlace, ServerState } from './observation.ts';
import type { Plan } from './plan.ts';
import type { ReleaseId, Revision } from './release.ts';
import type { OnFailure } from './site.ts';
import type { Step } from './step.ts';

/**
 * All that a run says, in order. Reporters draw it, `--json` prints it a line each; nothing else is shown while a
 * run is under way. Plain data, free of secrets.
 */
export type Event = { readonly atMs: number } & EventBody;

export type EventBody =
  | {
      readonly type: 'run-started';
      readonly run: string;
      readonly command: RunCommand;
      readonly site: string;
      readonly stage: string;
      readonly operator: string;
      readonly nodes: readonly NodeName[];
    }
  | { readonly type: 'note'; readonly level: 'info' | 'warning'; readonly text: string }
  | { readonly type: 'planned'; readonly plan: Plan }
  | { readonly type: 'locked'; readonly nodes: readonly NodeName[] }
  /** Of a site that is a fleet, in place of `planned` and `locked`: nobody else changes it now. */
  | { readonly type: 'fleet-taken'; readonly fleet: string; readonly intent: FleetIntent }
  | { readonly type: 'step-started'; readonly step: Step; readonly index: number; readonly total: number }
  | { readonly type: 'bytes'; readonly node: NodeName; readonly done: number; readonly total: number }
  /** A line of output of a build or a hook. */
  | { readonly type: 'line'; readonly from: string; readonly text: string }
  | {
      readonly type: 'node-done';
      readonly node: NodeName;
      readonly step: Step;
      readonly detail: string | null;
    }
  | {
      readonly type: 'node-failed';
      readonly node: NodeName;
      readonly step: Step;
      readonly failure: FailureText;
    }
  | { readonly type: 'step-done'; readonly step: Step; readonly index: number; readonly tookMs: number }
  | {
      readonly type: 'step-failed';
      readonly step: Step;
      readonly index: number;
      readonly failure: FailureText;
    }
  /** A node failed, and the run goes on without it. */
  | { readonly type: 'left-out'; readonly nodes: readonly NodeName[]; readonly step: Step }
  | { readonly type: 'interrupted'; readonly signal: string }
  /** The way back begins: `policy` for a failure, `interrupted` for a signal. */
  | { readonly type: 'recovering'; readonly policy: OnFailure | 'interrupted'; readonly plan: Plan }
  | { readonly type: 'run-ended'; readonly run: string; readonly report: Report };

/** The commands that change releases. */
export type RunCommand = 'deploy' | 'rollback' | 'flip' | 'resume' | 'abort' | 'promote' | 'sync';

export interface FailureText {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

/** What is so at the end, read from nodes and balancers, not remembered. */
export interface Report {
  readonly outcome:
    | 'done'
    | 'nothing to do'
    /** Some nodes were left out, and are behind the others. */
    | 'done in part'
    | 'held'
    | 'rolled back'
    | 'needs a person'
    | 'refused'
    | 'locked'
    | 'interrupted';
  readonly exit: ExitStatus;
  readonly failure: FailureText | null;
  readonly warnings: readonly string[];
  /** Nodes that were left out, and do not have what the others have. */
  readonly behind: readonly NodeName[];
  readonly tookMs: number;
  /** The backup that was made before the release's migration; null: none. */
  readonly backup: BackupPlace | null;
  /** Null if the site could not be read at the end. */
  readonly nodes: readonly NodeReport[] | null;
}

export interface NodeReport {
  readonly name: NodeName;
  readonly release: ReleaseId | null;
  readonly revision: Revision | null;
  readonly servers: readonly ServerState[];
  readonly serving: boolean;
  readonly heldOut: boolean;
  /** From the first change of rotation until it was back, in this run; null if it never left. */
  readonly outMs: number | null;
}
