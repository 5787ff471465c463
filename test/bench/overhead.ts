import { fileURLToPath } from 'node:url';
import type { FleetSite } from './fleet.ts';
import { timedRun } from './timed-run.ts';

/** What lock and journal add to a run. */
export interface Overhead {
  readonly runSeconds: number;
  /** In which nothing was under way but their commands. */
  readonly aloneSeconds: number;
  /** How often each of them was run. */
  readonly commands: Readonly<Record<string, number>>;
}

/** From when to when something was under way, in milliseconds. */
export interface Interval {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of one run by the engine itself, in a process of its own, that notes all it waits for; it is not among the laps. */
export async function overheadOf({ folder, operator }: FleetSite): Promise<Overhead> {
  const { stdout } = await timedRun([process.execPath, '--import', loader, recordedRun], {
    cwd: folder,
    home: operator.home,
  });
  const { tookMs, intervals } = JSON.parse(stdout) as { tookMs: number; intervals: readonly Interval[] };
  const own = intervals.filter(({ name }) => ownCommands.includes(name));
  return {
    runSeconds: tookMs / 1000,
    aloneSeconds: aloneMs(own, intervals) / 1000,
    commands: Object.fromEntries(
      ownCommands.map((command) => [command, own.filter(({ name }) => name === command).length]),
    ),
  };
}

/** Commands that do nothing else. Lines that travel with the other commands cost no round trip. */
const ownCommands = ['acquire-lock', 'renew-lock', 'release-lock', 'note'];

/** By its place: the process runs in the site's folder. */
const loader = import.meta.resolve('jiti/register');
const recordedRun = fileURLToPath(new URL('recorded-run.ts', import.meta.url));

/** Between any two neighbouring ends of intervals the same things are under way. */
function aloneMs(own: readonly Interval[], all: readonly Interval[]): number {
  const times = all.flatMap(({ fromMs, toMs }) => [fromMs, toMs]).toSorted((a, b) => a - b);
  const others = all.filter((interval) => !own.includes(interval));
  const covers = (from: number, to: number) => (interval: Interval) =>
    interval.fromMs <= from && to <= interval.toMs;
  return times.slice(1).reduce((sum, to, index) => {
    const isUnder = covers(times[index]!, to);
    return own.some(isUnder) && !others.some(isUnder) ? sum + to - times[index]! : sum;
  }, 0);
}
