import type { CommandLine } from './command.ts';
import type { Fields } from './field.ts';
import type { NodeName } from './node.ts';
import type { Release } from './release.ts';

/** The phases that hooks may stand before and after. The first four belong to the run, the others to steps. */
export const hookPhases = [
  'deploy',
  'rollback',
  'build',
  'prepare',
  'drain',
  'activate',
  'check',
  'enable',
  'flip',
  'cleanup',
] as const;
export type HookPhase = (typeof hookPhases)[number];

/** `failed` is reached when a run has failed, once what can be is put back. */
export type HookPoint = `before:${HookPhase}` | `after:${HookPhase}` | 'failed';

/** Those of a fleet: AWS does what is done to its machines. */
export const fleetHookPoints = [
  'before:deploy',
  'after:deploy',
  'before:rollback',
  'after:rollback',
  'failed',
] as const satisfies readonly HookPoint[];
export type FleetHookPoint = (typeof fleetHookPoints)[number];

export const hookPoints: readonly HookPoint[] = [
  ...hookPhases.flatMap((phase) => [`before:${phase}`, `after:${phase}`] as const),
  'failed',
];

/** A hook as the config puts it at a point. Plans name it by `name`. */
export interface HookSpec {
  /** Unique in the site. */
  readonly name: string;
  readonly point: HookPoint;
  readonly action: HookAction;
  /** What a hook is there for that the settings imply; the user's own have none. */
  readonly duty?: Duty;
}

/** Each runs once, on a node: a backup, what the new release needs of the database, what no release needs any more. */
export type Duty = 'backup' | 'expand' | 'contract';

export type HookAction =
  | {
      readonly kind: 'nodes';
      readonly command: CommandLine;
      /** Only nodes with this role; null: all nodes of the step. */
      readonly role: string | null;
      /** On one node (the first that fits), and once in a deploy, whatever is retried. */
      readonly once: boolean;
      readonly timeoutMs: number;
      /** Whether no release before may go live again from when it begins; a command says so there, by status 0 or 1. */
      readonly closesWayBack?: boolean | CommandLine;
      /** More than `command`, which asks them to end, is to be done. */
      readonly workers?: Workers;
    }
  | { readonly kind: 'operator'; readonly command: CommandLine; readonly timeoutMs: number }
  | {
      readonly kind: 'function';
      readonly run: HookFunction;
      /** What a ready-made one was made with. */
      readonly options?: Readonly<Record<string, unknown>>;
      readonly timeoutMs: number;
    };

/** Processes beside the web server that work on jobs of a queue, on some of the nodes or on machines of their own. */
export interface Workers {
  /** The nodes that have them; null: all. */
  readonly role: string | null;
  /** Asks them to finish the job under way, take no other, and end. Run in the release that is live from then on. */
  readonly stop: CommandLine;
  /** Status 0: some have not ended yet. Null: all have once `stop` has. */
  readonly isRunning: CommandLine | null;
  /** Ends those that have not in time; null: they are let be, and the release fails. */
  readonly kill: CommandLine | null;
  /** Brings them up again, in the live release. */
  readonly start: readonly CommandLine[];
  /** How long jobs under way may take. */
  readonly drainMs: number;
}

export type HookFunction = (context: HookContext) => Promise<void> | void;

/** What a hook function is given. Everything in it is data but the three verbs at the end. */
export interface HookContext {
  readonly site: string;
  readonly stage: string;
  readonly point: HookPoint;
  readonly operator: string;
  /** The release that the run brings live (for a rollback: the one it goes back to). */
  readonly release: Release;
  /** The nodes of the step, or of the whole run; none of a fleet, whose machines come and go. */
  readonly nodes: readonly NodeName[];
  /** What went wrong, at the point `failed`. */
  readonly failure: string | null;
  readonly signal: AbortSignal;
  /** Runs a command on one of `nodes`, in its live release; rejects if it exits with anything but 0. */
  run(node: NodeName, command: CommandLine): Promise<string>;
  /** Asks a node over HTTP, through its SSH connection. */
  get(
    node: NodeName,
    question: { path: string; host?: string; port?: number },
  ): Promise<{ status: number; body: string }>;
  /** Posts JSON to an address that the operator's machine reaches; rejects unless the answer is 2xx. */
  post(url: string, body: unknown): Promise<void>;
}

/** A ready-made hook as the registry holds it: its options are read by the fields, like every setting. */
export interface HookKind<Options = Record<string, unknown>> {
  readonly summary: string;
  readonly options: Fields<Options>;
  /** Whether it works on the nodes of the step: of no use to a fleet. */
  readonly onNodes: boolean;
  create(options: Options): HookFunction;
}

export const hookKind = <Options>(kind: HookKind<Options>): HookKind => kind as unknown as HookKind;
