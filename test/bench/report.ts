import { median } from './median.ts';
import type { Overhead } from './overhead.ts';
import { contenders, type Lap } from './race.ts';
import type { OutOfRotation } from './slow-application.ts';
import type { startupSeconds } from './startup.ts';
import type { Transfers } from './transfer.ts';

/** All that was measured. */
export interface Measurements {
  readonly site: { readonly files: number; readonly changed: number };
  readonly nodes: number;
  readonly laps: readonly Lap[];
  /** Of PHP-FPM, alone, in seconds. */
  readonly restartSeconds: number;
  readonly slow: OutOfRotation;
  readonly transfers: Transfers;
  readonly startup: ReturnType<typeof startupSeconds>;
  readonly overhead: Overhead;
}

/** What is aimed at, and what was reached. */
export interface Goal {
  readonly goal: string;
  readonly value: number;
  readonly max: number;
  readonly unit: '×' | '%';
}

export function reportText(measured: Measurements): string {
  const { site, nodes, laps, restartSeconds, slow, transfers, startup, overhead } = measured;
  const rounds = Math.max(...laps.map(({ round }) => round));
  return `
WordPress, ${site.files} files of which ${site.changed} change, to ${nodes} nodes; the median of ${rounds} round${rounds === 1 ? '' : 's'}.
Each has deployed once before the first round, and the disk is at rest before each run: caches are warm for all.

${table([heads, ...contenders.map(({ name, label }) => row(label, lapsOf(laps, name), lapsOf(laps, 'floor')))])}
Connections and sessions are those that the SSH server of a node saw; a session is a command or a file transfer.
Processor time and memory (of the largest process) are those of the tool and what it starts on this machine.
Capistrano has a clone of the repository on each node, and fetches only what changed.

Seconds in the steps of each kind:
${table((['together', 'rolling'] as const).map((name) => [`  ${name}`, stepsText(lapsOf(laps, name))]))}
Requests while it went on, of a few clients:
${table((['rolling', 'ansible'] as const).map((name) => [`  ${name}`, trafficText(lapsOf(laps, name))]))}
Seconds that each node was out of rotation with sluice, and the application's restart alone:
${table([
  ['  PHP-FPM, reloaded', secondsList(outSeconds(laps)), `restart ${restartSeconds.toFixed(3)}`],
  ['  one that takes a second', secondsList(slow.outSeconds), `restart ${slow.restartSeconds.toFixed(3)}`],
])}
The ${site.changed} changed files, to one node; compressed they are ${inKb(transfers.compressedBytes)} kB. For sluice the bytes of a whole deploy:
${table([['', 'kB', 'seconds'], ...transfers.ways.map(({ label, bytes, seconds }) => [`  ${label}`, inKb(bytes), seconds.toFixed(2)])])}
Startup: node -e 0 ${inMs(startup.node)}, sluice --version ${inMs(startup.version)}, sluice --help ${inMs(startup.help)}
Lock and journal, in a run of their own one by one: for ${overhead.aloneSeconds.toFixed(3)} of ${overhead.runSeconds.toFixed(3)} s nothing else was under way (${countsText(overhead)}).

${table(goals(measured).map(({ goal, value, max, unit }) => [goal, `${value.toFixed(2)} ${unit}`, `goal ≤ ${max} ${unit}`, value <= max ? 'met' : 'missed']))}`;
}

export function goals({
  laps,
  restartSeconds,
  slow,
  transfers,
  startup,
  overhead,
}: Measurements): readonly Goal[] {
  const seconds = (name: Lap['contender']): number => median(lapsOf(laps, name).map((lap) => lap.seconds));
  const out = (of: readonly number[], restart: number) => ({
    value: median(of) / restart,
    max: 1.2,
    unit: '×' as const,
  });
  return [
    { goal: 'all at once / floor', value: seconds('together') / seconds('floor'), max: 1.3, unit: '×' },
    { goal: 'one by one / floor', value: seconds('rolling') / seconds('floor'), max: 2, unit: '×' },
    { goal: 'out of rotation / restart, PHP-FPM', ...out(outSeconds(laps), restartSeconds) },
    { goal: 'out of rotation / restart of a second', ...out(slow.outSeconds, slow.restartSeconds) },
    ...transfers.ways.slice(0, 2).map(({ label, bytes }) => ({
      goal: `bytes, ${label} / compressed change`,
      value: bytes / transfers.compressedBytes,
      max: 1.2,
      unit: '×' as const,
    })),
    { goal: 'sluice --version / node -e 0', value: startup.version / startup.node, max: 2, unit: '×' },
    { goal: 'sluice --help / node -e 0', value: startup.help / startup.node, max: 2, unit: '×' },
    {
      goal: 'lock and journal alone / run',
      value: (100 * overhead.aloneSeconds) / overhead.runSeconds,
      max: 5,
      unit: '%',
    },
  ];
}

/** For each node, the median of the rounds. */
function outSeconds(laps: readonly Lap[]): readonly number[] {
  const rounds = lapsOf(laps, 'rolling').map((lap) => lap.outSeconds ?? []);
  return (rounds[0] ?? []).map((_, node) => median(rounds.map((nodes) => nodes[node] ?? Number.NaN)));
}

const secondsList = (values: readonly number[]): string =>
  values.map((seconds) => seconds.toFixed(3)).join('  ');

const trafficText = (laps: readonly Lap[]): string => {
  const count = (of: 'requests' | 'failed'): number =>
    laps.reduce((total, { traffic }) => total + (traffic?.[of] ?? 0), 0);
  return `${count('failed')} of ${count('requests')} failed`;
};

const lapsOf = (laps: readonly Lap[], name: Lap['contender']): readonly Lap[] =>
  laps.filter(({ contender }) => contender === name);

const heads = ['', 'seconds', 'ratio', 'connections/node', 'sessions/node', 'processor s', 'memory MB'];

function row(label: string, laps: readonly Lap[], floor: readonly Lap[]): readonly string[] {
  const of = (value: (lap: Lap) => number, among = laps): number => median(among.map(value));
  const [seconds, floorSeconds] = [of((lap) => lap.seconds), of((lap) => lap.seconds, floor)];
  return [
    label,
    seconds.toFixed(2),
    (seconds / floorSeconds).toFixed(2),
    `${of((lap) => median(lap.connections))}`,
    `${of((lap) => median(lap.sessions))}`,
    of((lap) => lap.cpuSeconds).toFixed(2),
    (of((lap) => lap.peakBytes) / 1e6).toFixed(0),
  ];
}

function stepsText(laps: readonly Lap[]): string {
  const kinds = Object.keys(laps[0]?.stepSeconds ?? {});
  return kinds
    .map((kind) => `${kind} ${median(laps.map(({ stepSeconds }) => stepSeconds?.[kind] ?? 0)).toFixed(2)}`)
    .join(', ');
}

const countsText = ({ commands }: Overhead): string =>
  Object.entries(commands)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');

const inKb = (bytes: number): string => (bytes / 1000).toFixed(0);

const inMs = (seconds: number): string => `${(seconds * 1000).toFixed(0)} ms`;

/** Columns of figures stand to the right, all others to the left. */
function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]!.map((_, column) => {
    const cells = rows.map((row) => row[column]!);
    const width = Math.max(...cells.map((cell) => cell.length));
    const isFigures = cells.some((cell) => /^[\d.]+$/.test(cell));
    return (cell: string) => (isFigures ? cell.padStart(width) : cell.padEnd(width));
  });
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => columns[column]!(cell))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
