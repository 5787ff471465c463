import type { Deviation, Drift, NodeDrift } from '../core/drift.ts';
import { count, list } from '../core/errors.ts';
import type { Paint } from './paint.ts';
import { shortRevision } from './release-text.ts';
import { table } from './table.ts';

/** What nodes do not have in common beside the site: nodes that deviate in the same way together, names by what is wrong with them. */
export function driftText({ image, nodes }: Drift, paint: Paint): string {
  const than = image === null ? 'what most nodes have' : `image ${shortRevision(image)}`;
  return [
    paint.strong(`Packages and configuration, compared with ${than}:`),
    '',
    table(together(nodes).flatMap(([first, ...others]) => rowsOf(first, others, paint))),
    '',
  ].join('\n');
}

type Group = readonly [NodeDrift, ...NodeDrift[]];

function together(nodes: readonly NodeDrift[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const node of nodes) {
    const key = JSON.stringify([node.problem, node.deviations, node.unread]);
    groups.set(key, [...(groups.get(key) ?? []), node] as unknown as Group);
  }
  return [...groups.values()];
}

function rowsOf(
  { name, problem, deviations, unread }: NodeDrift,
  others: readonly NodeDrift[],
  paint: Paint,
): readonly (readonly string[])[] {
  const kinds = groupsOf(deviations).map(([what, names]) => [paint.warn(what), shortList(names)]);
  const found = [
    ...(problem === null ? [] : [[paint.bad('not compared'), problem]]),
    ...kinds,
    ...(unread.length === 0 ? [] : [[paint.dim('not readable'), shortList(unread)]]),
  ];
  const isAlike = problem === null && deviations.length === 0;
  const rows = isAlike ? [[paint.good('alike')], ...found] : found;
  const who = list([name, ...others.map((other) => other.name)]);
  return rows.map((row, index) => [index === 0 ? who : '', ...row]);
}

/** In the order in which a reader looks for them. */
const groupsOf = (deviations: readonly Deviation[]): readonly (readonly [string, readonly string[]])[] =>
  Object.entries(kinds).flatMap(([what, { of, holds, text }]) => {
    const names = deviations.filter((one) => one.of === of && holds(one)).map(text);
    return names.length === 0 ? [] : [[what, names] as const];
  });

interface Kind {
  readonly of: Deviation['of'];
  readonly holds: (one: Deviation) => boolean;
  readonly text: (one: Deviation) => string;
}

const isMissing = ({ found }: Deviation): boolean => found === null;
const isAdditional = ({ expected }: Deviation): boolean => expected === null;
const isOther = (one: Deviation): boolean => !isMissing(one) && !isAdditional(one);
const nameOf = ({ name }: Deviation): string => name;

const kinds: Readonly<Record<string, Kind>> = {
  'packages missing': { of: 'package', holds: isMissing, text: nameOf },
  'packages additional': {
    of: 'package',
    holds: isAdditional,
    text: ({ name, found }) => `${name} ${found}`,
  },
  'packages of another version': {
    of: 'package',
    holds: isOther,
    text: ({ name, found, expected }) => `${name} ${found} (not ${expected})`,
  },
  'files missing': { of: 'file', holds: isMissing, text: nameOf },
  'files additional': { of: 'file', holds: isAdditional, text: nameOf },
  'files that differ': { of: 'file', holds: isOther, text: nameOf },
};

/** `--json` has all of them. */
function shortList(names: readonly string[]): string {
  const others = names.length - namesMax;
  return others > 1 ? `${names.slice(0, namesMax).join(', ')} and ${count(others, 'other')}` : list(names);
}

const namesMax = 6;
