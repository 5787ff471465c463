import { assert } from '../../core/assert.ts';
import type { ServerState } from '../../core/observation.ts';
import type { RotationChange, WeightChange } from '../../ports.ts';
import { type Cell, commaSeparated, numberOf, rowsOf, shown, unreadable } from './haproxy-table.ts';
import type { Weight } from './weight.ts';

/** What one HAProxy process says of itself and of all its servers. */
export interface Reading {
  /** Its process id, as the process sees it itself. */
  readonly pid: number;
  /** Which process answered, and since when it runs (if its version tells). */
  readonly incarnation: string;
  readonly servers: readonly ServerReading[];
}

export interface ServerReading extends Pick<ServerState, 'rotation' | 'health'> {
  readonly backend: string;
  readonly server: string;
  /** Streams (connections in TCP mode) on the server, and those that are queued for it alone. */
  readonly sessions: number;
  readonly weight: Weight;
  /** What else than a command explains the rotation, for people; empty if nothing does. */
  readonly because: readonly string[];
}

/** The commands whose answers `readingOf` reads: the process, the states, and the statistics of all servers. */
export const readCommands: readonly string[] = ['show info', 'show servers state', 'show stat -1 4 -1'];

/** Throws if the answers are not what HAProxy 2.4 to 3.2 says (management guide, 9.3). */
export function readingOf(answers: readonly string[]): Reading {
  const [info = '', states = '', stats = ''] = answers;
  const statOf = new Map(statRows(stats).map((stat) => [`${stat.backend}/${stat.server}`, stat]));
  const servers = stateRows(states).map((state): ServerReading => {
    const stat = statOf.get(`${state.backend}/${state.server}`);
    if (!stat) throw new Error(`"show stat" does not have ${state.backend}/${state.server}`);
    return {
      backend: state.backend,
      server: state.server,
      rotation: rotationOf(state),
      health: healthOf(state, stat),
      sessions: stat.sessions,
      weight: state.weight,
      because: reasonsOf(state),
    };
  });
  return { pid: pidIn(info), incarnation: incarnationOf(info), servers };
}

/** The answer to `show servers state` among those to `readCommands`. */
export const statesIn = ([, states = '']: readonly string[]): string => states;

/** What one process has in flight on a server. */
export interface InFlight extends ServerName {
  readonly sessions: number;
}

/** Throws if this is not what `show stat -1 4 -1` answers. */
export const inFlightIn = (stats: string): readonly InFlight[] =>
  rowsOf(stats.split('\n'), commaSeparated).map(inFlightOf);

/** A name of a backend or server as HAProxy allows it: nothing in it parts or escapes commands. */
export const isName = (text: string): boolean => /^[A-Za-z0-9_.:-]+$/.test(text);

export interface ServerName {
  readonly backend: string;
  readonly server: string;
}

export const setState = ({ to, ...name }: ServerName & Pick<RotationChange, 'to'>): string =>
  `set server ${serverName(name)} state ${wordFor[to]}`;

/** In percent of the configured weight. */
export const setWeight = ({ to, ...name }: ServerName & Pick<WeightChange, 'to'>): string =>
  `set server ${serverName(name)} weight ${to}%`;

export function serverName({ backend, server }: ServerName): string {
  assert(isName(backend) && isName(server), 'only names are sent to HAProxy as names');
  return `${backend}/${server}`;
}

const wordFor = { in: 'ready', draining: 'drain', out: 'maint' } as const;

/** What a setter was refused with, or null: a setter that works says nothing. */
export const refusalOf = (answer: string): string | null =>
  answer === '' ? null : answer.replace(/^\[\d\]: /, '');

export interface Batch {
  readonly line: string;
  readonly commands: readonly string[];
}

/**
 * The commands in as few lines as HAProxy's buffer allows (`tune.bufsize`, 16 kB by default): a connection that is
 * not interactive takes one line, in which `;` parts commands.
 */
export function batchesOf(commands: readonly string[], bytesMax = 8000): readonly Batch[] {
  const batches: string[][] = [[]];
  for (const command of commands) {
    const batch = batches.at(-1)!;
    const fits = lineOf([...batch, command]).length <= bytesMax;
    if (fits) batch.push(command);
    else batches.push([command]);
  }
  return batches.map((batch) => ({ line: lineOf(batch), commands: batch }));
}

/** Severities are asked for: without them, an error could be told from other output only by its text. */
const lineOf = (commands: readonly string[]): string => ['set severity-output number', ...commands].join(';');

/**
 * The answer to each command of a batch. An answer ends with its first empty line; a batch goes on after an error.
 * Throws if there are not as many answers as commands.
 */
export function answersOf(output: string, { commands }: Batch): readonly string[] {
  const answers = output.match(/(?:.+\n)*\n/g) ?? [];
  if (answers.join('') !== output || answers.length !== commands.length + 1) {
    throw new Error(`the answer is not that of a runtime API: ${shown(output)}`);
  }
  return answers.slice(1).map((answer) => answer.trimEnd());
}

/** Throws unless `info` is what `show info` answers. */
export const incarnationOf = (info: string): string =>
  `${pidIn(info)} since ${valueIn(info, 'Start_time_sec') ?? 'an unknown time'}`;

function pidIn(info: string): number {
  const pid = valueIn(info, 'Pid');
  if (pid === undefined) throw new Error(`"show info" has no Pid: ${shown(info)}`);
  return Number(pid);
}

const valueIn = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}: (\\d+)$`, 'm').exec(info)?.[1];

interface StateRow {
  readonly backend: string;
  readonly server: string;
  readonly operation: 'stopped' | 'starting' | 'running' | 'stopping';
  /** Bits: see `admin`. */
  readonly admin: number;
  readonly weight: Weight;
  /** Health or agent checks are made at this time. */
  readonly checks: boolean;
  /** Counts up to `rise`, where the server is up, and on to `rise + fall - 1`. */
  readonly checkHealth: number;
}

function stateRows(answer: string): readonly StateRow[] {
  const [version, ...table] = answer.split('\n');
  if (version !== '1') throw new Error(`"show servers state" has an unknown format: ${shown(answer)}`);
  return rowsOf(table, (line) => line.split(' ')).map((cell) => ({
    backend: cell('be_name'),
    server: cell('srv_name'),
    operation: operations[numberOf(cell('srv_op_state'))] ?? unreadable('srv_op_state', cell('srv_op_state')),
    admin: numberOf(cell('srv_admin_state')),
    weight: { now: numberOf(cell('srv_uweight')), configured: numberOf(cell('srv_iweight')) },
    checks: [cell('srv_check_state'), cell('srv_agent_state')].some((bits) => isChecking(numberOf(bits))),
    checkHealth: numberOf(cell('srv_check_health')),
  }));
}

const operations: readonly StateRow['operation'][] = ['stopped', 'starting', 'running', 'stopping'];

/** Configured (2) and enabled (4), and not paused (8). */
const isChecking = (bits: number): boolean => (bits & 14) === 6;

interface StatRow extends InFlight {
  readonly rise: number;
  readonly fall: number;
  /** Its health follows another server's. */
  readonly tracks: boolean;
}

const statRows = (answer: string): readonly StatRow[] =>
  rowsOf(answer.split('\n'), commaSeparated).map((cell) => ({
    ...inFlightOf(cell),
    rise: numberOf(cell('check_rise') || '0'),
    fall: numberOf(cell('check_fall') || '0'),
    tracks: cell('tracked') !== '',
  }));

const inFlightOf = (cell: Cell): InFlight => ({
  backend: cell('pxname'),
  server: cell('svname'),
  sessions: numberOf(cell('scur')) + numberOf(cell('qcur')),
});

/**
 * Bits of `srv_admin_state`. Bit 4 is not among them: it says that the configuration has the server `disabled`,
 * and stays when the server is made ready; until then bit 1 is set as well.
 */
const admin = {
  maint: 0x01 | 0x02 | 0x20,
  drain: 0x08 | 0x10,
  inherited: 0x02 | 0x10,
  unresolved: 0x20,
} as const;

function rotationOf(state: StateRow): ServerState['rotation'] {
  if (state.admin & admin.maint) return 'out';
  return state.admin & admin.drain || state.weight.now === 0 ? 'draining' : 'in';
}

const reasonsOf = (state: StateRow): readonly string[] => [
  ...(state.admin & admin.inherited ? ['it follows the server that it tracks'] : []),
  ...(state.admin & admin.unresolved ? ['its host name does not resolve'] : []),
  ...(state.weight.now === 0 ? ['its weight is 0'] : []),
];

/**
 * The `status` of `show stat` would not do: it mixes health with rotation. A server that was just made ready runs
 * before it was checked; its count then stands at `rise`, and it is `starting` until a check succeeds. A count between that and
 * the highest is of one that was proven and missed a check since: it gets its traffic, and is `up`.
 */
function healthOf(state: StateRow, { rise, fall, tracks }: StatRow): ServerState['health'] {
  if (rotationOf(state) === 'out') return 'unchecked';
  if (state.operation === 'starting') return 'starting';
  if (state.operation === 'stopping') return 'down';
  if (state.operation === 'stopped') return state.checks && state.checkHealth > 0 ? 'starting' : 'down';
  if (!state.checks) return tracks ? 'up' : 'unchecked';
  return state.checkHealth > rise || fall <= 1 ? 'up' : 'starting';
}
