import type { Capacity, Place } from './fleet.ts';

/** What a run set out to do, and what it found: enough for whoever goes on, or back, from any other machine. */
export interface FleetIntent {
  readonly run: string;
  readonly command: 'deploy' | 'rollback';
  readonly from: Place;
  readonly to: Place;
  readonly capacity: Capacity;
  /** Processes that the run suspends; whatever else is suspended is somebody else's. */
  readonly suspends: readonly string[];
}

/** One line of the log of a fleet. */
export interface FleetEntry {
  readonly intent: FleetIntent;
  readonly by: string;
  readonly atMs: number;
  readonly state: 'under way' | 'going back' | 'held' | 'done' | 'rolled back';
  /** Why it is held, or went back; null: it did not. */
  readonly why: string | null;
}

/** An entry and its place in the log. `after`: the last number that its writer had seen. */
export interface LoggedEntry extends FleetEntry {
  readonly number: number;
  readonly after: number;
}

/**
 * The entries that stand. AWS gives out numbers one by one, so of two writers that saw the same end of the log only one gets the
 * number that follows it: the other's entry says nothing.
 */
export const standing = (log: readonly LoggedEntry[]): readonly LoggedEntry[] =>
  log.filter(({ number, after }) => after === number - 1).toSorted((a, b) => a.number - b.number);

/** The run that has the fleet, dead or alive; null: nobody. */
export function openRun(log: readonly LoggedEntry[]): LoggedEntry | null {
  const last = standing(log).at(-1);
  return last && isOpen(last) ? last : null;
}

export const isOpen = ({ state }: FleetEntry): boolean => state !== 'done' && state !== 'rolled back';

/** Where the fleet was before what it has now was deployed; null: the log does not know. */
export const placeBefore = (log: readonly LoggedEntry[], now: Place): Place | null =>
  standing(log).findLast(
    ({ state, intent }) => state === 'done' && intent.command === 'deploy' && intent.to.image === now.image,
  )?.intent.from ?? null;
