import type { Node, NodeName } from '../core/node.ts';
import type { Release, ReleaseId } from '../core/release.ts';

/** A machine that serves the site: what is on its disk, and what runs on it, which are two things. */
export interface SimulatedNode {
  readonly name: NodeName;
  readonly node: Node;
  /** How far its clock is ahead of the operator's; negative: behind. */
  skewMs: number;
  /** How long the application takes from a restart to its first answer. */
  readonly startMs: number;
  disk: Disk;
  /** False while the machine boots: nothing on it answers, and what ran there is gone. */
  isUp: boolean;
  /** The machine is lost: it does not come back by itself. */
  isGone: boolean;
  /** Counts boots: work that was begun before the last one never goes on. */
  boots: number;
  /** A command that must be alone there is under way. */
  isBusy: boolean;
  /** The last attempt to switch that came. */
  latest: object | null;
  /** Jobs of the cron under way. */
  readonly jobs: Set<CronRun>;
  readonly worker: Worker;
  application: Application;
  /** When a run last changed what runs here; -Infinity: never. */
  changedAtMs: number;
  /** The last right answer to each check, by its path, since the machine was made. */
  readonly answers: Map<string, Answered>;
  /** The balancers' own checks fail until then, though the application is well. */
  flapsUntilMs: number;
  /** Nobody reaches it over the transport until then. */
  cutOffUntilMs: number;
  diskFullUntilMs: number;
}

/** What a run of sluice, or a tool before it, left there: the layout of `src/commands/layout.ts`. */
export interface Disk {
  readonly releases: Map<ReleaseId, ReleaseOnDisk>;
  /** Marks in order; a release of another tool has none. */
  readonly records: Map<ReleaseId, string[]>;
  current: ReleaseId | null;
  drained: readonly string[];
  lock: { readonly run: string; readonly details: string } | null;
  /** The run that claimed the lock of a dead one, by the dead one. */
  readonly claims: Map<string, string>;
  held: { readonly run: string; readonly details: string } | null;
  heartbeatSeconds: number;
  /** What stands in the file that says so; null: there is none. */
  maintenance: string | null;
  /** Releases whose migration closed the way back, in the order in which that was written. */
  readonly irreversible: ReleaseId[];
  /** File names, such as `20260114093000.migrate.done`. */
  readonly once: Set<string>;
  /** For each run what it wrote there of its steps, a line of JSON each. */
  readonly journals: Map<string, string[]>;
  /** The lines of the crontab that are the site's. */
  cron: readonly string[];
  /** The run that put them there, and so let jobs begin. */
  cronSince: string | null;
  readonly history: string[];
  readonly revisionsLog: string[];
}

export interface ReleaseOnDisk extends Pick<Release, 'revision'> {
  /** Of the bytes that it was made from: two of one name and other bytes are two releases. */
  readonly digest: string;
  /** Whose static assets it holds: its own, and those that it was lent. */
  readonly assetsOf: Set<ReleaseId>;
}

export interface Application {
  /** The code that answers; null: there is none. */
  release: ReleaseId | null;
  /** It refuses connections until then. */
  readyAtMs: number;
  /** The code before it goes on answering from the cache until then. */
  stale: { readonly release: ReleaseId; readonly untilMs: number } | null;
}

/** A job of the cron, from its beginning to its end. */
export interface CronRun {
  readonly name: string;
}

/** What works on the jobs of a queue on a node: one stands for all of them. */
export interface Worker {
  /** The code that it runs; null: there is none. */
  release: ReleaseId | null;
  /** What it works on. */
  job: object | null;
  /** It was told to take no other job, and to end. */
  isEnding: boolean;
  /** The last attempt that saw to it. */
  turn: object | null;
}

export interface Answered {
  /** The code that answered. */
  readonly release: ReleaseId;
  readonly atMs: number;
}

export const newWorker = (release: ReleaseId | null): Worker => ({
  release,
  job: null,
  isEnding: false,
  turn: null,
});

export const newDisk = (): Disk => ({
  releases: new Map(),
  records: new Map(),
  current: null,
  drained: [],
  lock: null,
  claims: new Map(),
  held: null,
  heartbeatSeconds: 0,
  maintenance: null,
  irreversible: [],
  once: new Set(),
  cron: [],
  cronSince: null,
  journals: new Map(),
  history: [],
  revisionsLog: [],
});

/** The release whose code answers now; null if nothing does. */
export function answering({ isUp, application }: SimulatedNode, nowMs: number): ReleaseId | null {
  if (!isUp || nowMs < application.readyAtMs) return null;
  return application.stale && nowMs < application.stale.untilMs
    ? application.stale.release
    : application.release;
}

export const secondsOn = ({ skewMs }: SimulatedNode, nowMs: number): number =>
  Math.floor((nowMs + skewMs) / 1000);

/** As `echo mark >> record`; `make`: also where there is no record yet. */
export function markRelease(
  { records }: Disk,
  release: ReleaseId,
  mark: string,
  { make }: { make: boolean },
): void {
  const record = records.get(release);
  if (record) record.push(mark);
  else if (make) records.set(release, [mark]);
}

export function writeJournal({ journals }: Disk, run: string, lines: readonly string[]): void {
  if (lines.length > 0) journals.set(run, [...(journals.get(run) ?? []), ...lines]);
}

/** As `releaseLock` does: the newest are kept. */
export function pruneJournals({ journals }: Disk): void {
  const runs = [...journals.keys()].sort();
  for (const run of runs.slice(0, Math.max(0, runs.length - journalsKept))) journals.delete(run);
}

const journalsKept = 20;
