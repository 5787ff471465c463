import type { NodeName } from './node.ts';
import type { Revision } from './release.ts';

/** What a machine has beside the site, as one look found it: enough to see a difference, nothing that could be secret. */
export interface MachineState {
  /** The version of each package that is installed; null: the machine has no package manager that is known. */
  readonly packages: Facts | null;
  /** Where was looked. */
  readonly paths: readonly string[];
  /** The SHA-256 of each file below the paths; of a link, `-> ` and where it leads. */
  readonly files: Facts;
  /** Files and directories there that the user may not read. */
  readonly unread: readonly string[];
}

type Facts = Readonly<Record<string, string>>;

export interface DriftSettings {
  /** Files and directories, absolute, that are to be alike on all nodes. */
  readonly paths: readonly string[];
  /** Names of packages, and absolute paths, that may differ; `*` stands for anything. */
  readonly ignore: readonly string[];
}

/** What differs among machines that are to be alike. */
export interface Drift {
  /** What nodes were compared with: the seed when this image was taken of it; null: with what most of them have. */
  readonly image: Revision | null;
  readonly nodes: readonly NodeDrift[];
}

export interface NodeDrift {
  readonly name: NodeName;
  /** Why it, or its packages, could not be compared; null: all was. */
  readonly problem: string | null;
  /** Packages by name, then files by path. */
  readonly deviations: readonly Deviation[];
  /** Files and directories that could not be read, and so were not compared. */
  readonly unread: readonly string[];
}

/** A package or a file that is not as it is to be; null: it is not there. */
export interface Deviation {
  readonly of: 'package' | 'file';
  readonly name: string;
  readonly expected: string | null;
  readonly found: string | null;
}

export const isAlike = ({ nodes }: Drift): boolean =>
  nodes.every(({ problem, deviations }) => problem === null && deviations.length === 0);

/** Where a machine is not as another is, or as most are. What either could not read, or did not look at, is not compared. */
export function deviations(
  { expected, found }: { readonly expected: MachineState; readonly found: MachineState },
  ignore: DriftSettings['ignore'],
): readonly Deviation[] {
  const patterns = ignore.map(matcher);
  const hidden = [...expected.unread, ...found.unread];
  const isCompared = (path: string): boolean =>
    [expected, found].every(({ paths }) => isBelow(path, paths)) && !isBelow(path, hidden);
  const differing = (of: Deviation['of'], before: Facts, after: Facts): readonly Deviation[] =>
    [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .sort()
      .map((name) => ({ of, name, expected: factOf(before, name), found: factOf(after, name) }))
      .filter((one) => one.expected !== one.found && !patterns.some((pattern) => pattern.test(one.name)));
  return [
    // Two machines of which one cannot say what it has are told apart by the caller.
    ...(expected.packages && found.packages ? differing('package', expected.packages, found.packages) : []),
    ...differing('file', expected.files, found.files).filter(({ name }) => isCompared(name)),
  ];
}

const factOf = (facts: Facts, name: string): string | null =>
  Object.hasOwn(facts, name) ? facts[name]! : null;

const isBelow = (path: string, tops: readonly string[]): boolean =>
  tops.some((top) => path === top || path.startsWith(`${top}/`));

/** The names that a pattern stands for. */
const matcher = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*')}$`,
  );

/**
 * What most of several machines have, each package and each file by itself: of two that are as common, what the machine has
 * that stands first. What a machine could not read it has no say in.
 */
export function mostCommon(states: readonly MachineState[]): MachineState {
  const packages = states.flatMap(({ packages: facts }) => (facts === null ? [] : [{ facts, hidden: [] }]));
  return {
    packages: packages.length === 0 ? null : mostOf(packages),
    paths: [...new Set(states.flatMap(({ paths }) => paths))],
    files: mostOf(states.map(({ files, unread }) => ({ facts: files, hidden: unread }))),
    unread: [],
  };
}

interface Vote {
  readonly facts: Facts;
  readonly hidden: readonly string[];
}

function mostOf(votes: readonly Vote[]): Facts {
  const names = [...new Set(votes.flatMap(({ facts }) => Object.keys(facts)))];
  return Object.fromEntries(
    names.flatMap((name) => {
      const voting = votes.filter(({ hidden }) => !isBelow(name, hidden));
      const most = commonest(voting.map(({ facts }) => factOf(facts, name)));
      return most === null ? [] : [[name, most]];
    }),
  );
}

function commonest(values: readonly (string | null)[]): string | null {
  const counts = new Map<string | null, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  // A sort keeps the order of those that are equal, and a map that in which they came.
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}
