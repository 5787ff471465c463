import type { Duty, HookPoint } from './hook.ts';
import type { NodeName, PoolName } from './node.ts';
import type { RelapseOptions } from './relapse.ts';
import type { Release, ReleaseId } from './release.ts';
import type { Target } from './target.ts';
import type { VerdictOptions } from './verdict.ts';

/** One act of a plan: plain data, the same after JSON. Each kind may run twice without harm. */
export type Step =
  | { readonly kind: 'build'; readonly nodes: readonly NodeName[]; readonly release: Release }
  | {
      readonly kind: 'fetch';
      readonly nodes: readonly NodeName[];
      /** The node that packs it. */
      readonly from: NodeName;
      readonly release: Release;
    }
  | { readonly kind: 'prepare'; readonly nodes: readonly NodeName[]; readonly release: Release }
  | { readonly kind: 'drain'; readonly nodes: readonly NodeName[] }
  | { readonly kind: 'activate'; readonly nodes: readonly NodeName[]; readonly release: Release }
  | { readonly kind: 'check'; readonly nodes: readonly NodeName[]; readonly release: Release }
  /** The same of the balancers: what they send to the pool without traffic, which has these nodes. */
  | { readonly kind: 'preview'; readonly nodes: readonly NodeName[]; readonly release: Release }
  | { readonly kind: 'enable'; readonly nodes: readonly NodeName[] }
  | {
      readonly kind: 'shift';
      readonly nodes: readonly NodeName[];
      /** In percent of the weight in the balancer's configuration, whole, from 1 to 100. */
      readonly to: number;
    }
  | {
      /** All new requests to another pool. */
      readonly kind: 'flip';
      /** Those of that pool. */
      readonly nodes: readonly NodeName[];
      readonly to: PoolName;
      /** Only so many percent of them, whole, from 1 to 99, on the way there; absent: all. */
      readonly share?: number;
    }
  | { readonly kind: 'cleanup'; readonly nodes: readonly NodeName[]; readonly remove: Removals }
  | {
      readonly kind: 'hook';
      readonly nodes: readonly NodeName[];
      readonly hook: string;
      readonly point: HookPoint;
      /** Once in a deploy for the whole fleet, whatever is retried. */
      readonly once: boolean;
      /** The release under whose name it leaves its marks. */
      readonly onceAs: ReleaseId;
      readonly release: Release;
      readonly duty?: Duty;
    }
  | {
      readonly kind: 'maintenance';
      readonly nodes: readonly NodeName[];
      /** `off`: where this run, or one before, set it. */
      readonly to: 'on' | 'off';
      /** An operator's word: then it is theirs, and is lifted whoever had set it. */
      readonly text?: string;
    }
  | {
      readonly kind: 'cron';
      /** All that are in `from` and `to`. */
      readonly nodes: readonly NodeName[];
      /** Where the cron of the site is taken off, and jobs under way are waited for. */
      readonly from: readonly NodeName[];
      /** Where it is put then; null: nowhere. */
      readonly to: NodeName | null;
      /** Nodes that cannot be read, and that the operator says are off. */
      readonly off: readonly NodeName[];
    }
  | {
      readonly kind: 'hold';
      /** The nodes that are looked at meanwhile; none of the site is out of rotation. */
      readonly nodes: readonly NodeName[];
      /** Unique in the plan: under this name it is written down that the hold is over. */
      readonly name: string;
      /** How long; null: until a person promotes the run. */
      readonly forMs: number | null;
      /** What the nodes answer meanwhile decides whether the plan goes on; null: it need not be compared. */
      readonly judged: Judged | null;
      /** What the nodes must go on showing once traffic was flipped to them; null: that they serve. */
      readonly flipped: Flipped | null;
      /** The release under whose name it leaves its marks. */
      readonly onceAs: ReleaseId;
    };

/** How the nodes of a hold are judged at its end. */
export interface Judged {
  /** The release that they have. */
  readonly release: ReleaseId;
  /** Nodes that have another one: what they answer over the same time is the measure. */
  readonly others: readonly NodeName[];
  readonly options: VerdictOptions;
}

/** How nodes are looked at that all traffic was just flipped to. */
export interface Flipped {
  /** They must go on answering their checks as this. */
  readonly release: Release;
  /** In milliseconds, between two rounds of them. */
  readonly checkEveryMs: number;
  readonly options: RelapseOptions;
}

export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

/** For each node, the releases that are deleted there. */
export type Removals = Readonly<Record<NodeName, readonly ReleaseId[]>>;

export const prepare = (nodes: readonly NodeName[], { release }: Target): Step => ({
  kind: 'prepare',
  nodes,
  release,
});

export const drain = (nodes: readonly NodeName[]): Step => ({ kind: 'drain', nodes });

export const activate = (nodes: readonly NodeName[], { release }: Target): Step => ({
  kind: 'activate',
  nodes,
  release,
});

export const check = (nodes: readonly NodeName[], { release }: Target): Step => ({
  kind: 'check',
  nodes,
  release,
});

/** Of a site without such settings it is left out of the plan. */
export const preview = (nodes: readonly NodeName[], { release }: Target): Step => ({
  kind: 'preview',
  nodes,
  release,
});

/** Waits for a time, or for a person, before the plan goes on. A hold that is over is left out of later plans. */
export const hold = (
  nodes: readonly NodeName[],
  { release, onceAs = release.id }: Target,
  {
    name,
    forMs,
    judged = null,
    flipped = null,
  }: Pick<StepOf<'hold'>, 'name' | 'forMs'> & Partial<Pick<StepOf<'hold'>, 'judged' | 'flipped'>>,
): StepOf<'hold'> => ({ kind: 'hold', nodes, name, forMs, judged, flipped, onceAs });

/** As a hold stands among the marks of work that runs once. */
export const holdMark = (name: string): string => `hold ${name}`;

/** Sets weights. A node of less than its whole weight does not count for the floor; at the end of a plan all have it. */
export const shift = (nodes: readonly NodeName[], to: number): Step => ({ kind: 'shift', nodes, to });

export const enable = (nodes: readonly NodeName[]): Step => ({ kind: 'enable', nodes });

/** Sends all traffic to the pool at once, or `share` percent of it. `nodes` are all that it has. */
export const flip = (nodes: readonly NodeName[], to: PoolName, share?: number): Step => ({
  kind: 'flip',
  nodes,
  to,
  ...(share === undefined ? {} : { share }),
});
