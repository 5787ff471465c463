import { isPlainObject } from '../../core/field.ts';
import type { ServerState } from '../../core/observation.ts';
import { type CliAnswer, cliStatus } from './varnish-cli.ts';

/** What is asked of a Varnish to know all of it. Only the child can answer the last one: it must run. */
export const readCommands: readonly string[] = [
  'pid -j',
  'vcl.list -j',
  'vcl.deps -j',
  'backend.list -j *.*',
];

/** One Varnish, as it is now. */
export interface Reading {
  /** Another one once the child, the VCL in use or a VCL behind its labels is: health that was set is lost then. */
  readonly incarnation: string;
  /** The VCLs that requests get to: the one in use, and those that it reaches through labels. */
  readonly serving: readonly string[];
  /** The VCL of each label. */
  readonly labels: ReadonlyMap<string, string>;
  readonly backends: readonly BackendReading[];
}

export interface BackendReading {
  readonly vcl: string;
  readonly backend: string;
  readonly rotation: 'in' | 'out';
  readonly health: ServerState['health'];
}

/** Throws if the answers are not those of a Varnish whose child runs. */
export function readingOf(answers: readonly CliAnswer[]): Reading {
  const [pid, list, deps, backends] = answers.map((answer, i) => partsOf(readCommands[i]!, answer));
  const vcls = objectsIn(list!);
  const active = vcls.find(({ status }) => status === 'active');
  const { master, worker } = objectsIn(pid!)[0] ?? {};
  if (!active || !Number.isInteger(worker)) throw new Error('no VCL is in use');
  const serving = reachedFrom(textOf(active.name), objectsIn(deps!));
  const cold = vcls.flatMap(({ name, temperature }) => (temperature === 'cold' ? [textOf(name)] : []));
  return {
    incarnation: `${String(master)}/${String(worker)} ${serving.join(' ')}`,
    serving,
    labels: new Map(
      vcls.flatMap(({ name, label }) =>
        isPlainObject(label) ? [[textOf(name), textOf(label.name)] as const] : [],
      ),
    ),
    backends: objectsIn(backends!).flatMap((all) => backendsIn(all, cold)),
  };
}

/** Answers to commands with `-j` (varnish-cli(7)): a version, the command, the time, and then what was asked for. */
function partsOf(command: string, { status, text }: CliAnswer): readonly unknown[] {
  if (status !== cliStatus.ok)
    throw new Error(`it answered "${command}" with ${shownAnswer({ status, text })}`);
  const parts: unknown = JSON.parse(text);
  if (!Array.isArray(parts) || parts.length < 3) throw new Error(`its answer to "${command}" is not a list`);
  return parts.slice(3);
}

/** On one line. */
export const shownAnswer = ({ status, text }: CliAnswer): string =>
  `${status} ${text
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .slice(0, 300)}`.trim();

function objectsIn(parts: readonly unknown[]): readonly Readonly<Record<string, unknown>>[] {
  return parts.map((part) => {
    if (!isPlainObject(part)) throw new Error('a part of its answer is not an object');
    return part;
  });
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error('a name in its answer is not a text');
  return value;
}

/** A VCL and all that it depends on, through labels and theirs. */
function reachedFrom(first: string, deps: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  const reached = [first];
  for (const name of reached) {
    const own = deps.find((one) => one.name === name)?.deps;
    const found = Array.isArray(own) ? own.map(textOf) : [];
    reached.push(...found.filter((dep, i) => !reached.includes(dep) && found.indexOf(dep) === i));
  }
  return reached;
}

/** Directors stand in the same list. A key is `<vcl>.<backend>`; only the VCL's name may have dots. */
const backendsIn = (
  all: Readonly<Record<string, unknown>>,
  cold: readonly string[],
): readonly BackendReading[] =>
  Object.entries(all).flatMap(([key, one]) => {
    const dot = key.lastIndexOf('.');
    if (dot < 1 || !isPlainObject(one) || one.type !== 'backend' || one.admin_health === 'deleted') return [];
    const vcl = key.slice(0, dot);
    return [
      {
        vcl,
        backend: key.slice(dot + 1),
        rotation: one.admin_health === 'sick' ? ('out' as const) : ('in' as const),
        health: healthOf(one.probe_message, cold.includes(vcl)),
      },
    ];
  });

/** `[good, looked at, 'healthy']`; without a probe `[0, 0, 'healthy']`. A VCL that is cold probes nobody. */
function healthOf(probe: unknown, isCold: boolean): ServerState['health'] {
  if (!Array.isArray(probe) || probe.length !== 3) throw new Error('a backend has no probe_message');
  const [, window, word] = probe as readonly unknown[];
  if (window === 0) return 'unchecked';
  if (isCold) return 'starting';
  return word === 'healthy' ? 'up' : 'down';
}
