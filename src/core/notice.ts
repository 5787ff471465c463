import { count, list } from './errors.ts';
import type { Event, Report, RunCommand } from './event.ts';
import { imageRelease, isImageRelease } from './fleet.ts';
import type { Moment } from './moment.ts';
import type { NodeName } from './node.ts';
import type { Release } from './release.ts';

/** Plain data, free of secrets. */
export interface Notice {
  readonly moment: Moment;
  readonly site: string;
  readonly stage: string;
  readonly run: string;
  readonly command: RunCommand;
  readonly operator: string;
  readonly release: Release;
  readonly nodes: readonly NodeName[];
  readonly startedMs: number;
  readonly atMs: number;
  /** What happened, on one line. */
  readonly text: string;
  /** Why, and what to do next, a sentence each; empty where all is well. */
  readonly evidence: readonly string[];
}

/** Makes notices from the events of a run, in order. A run that never took the lock, or had nothing to do, makes none. */
export function noticesOfRun(): (event: Event) => Notice | null {
  let known: Omit<Notice, 'moment' | 'atMs' | 'text' | 'evidence'> | null = null;
  let started: (Event & { readonly type: 'run-started' }) | null = null;
  let isUnderWay = false;
  const make = (moment: Moment, atMs: number, what: string, evidence: readonly string[]): Notice | null => {
    if (known === null) return null;
    const { site, stage, operator } = known;
    return { ...known, moment, atMs, text: `${site}/${stage}: ${what}, by ${operator}`, evidence };
  };
  return (event) => {
    switch (event.type) {
      case 'run-started':
        started = event;
        isUnderWay = false;
        return null;
      case 'planned': {
        if (started === null) return null;
        const { site, stage, run, command, operator, atMs: startedMs } = started;
        known = { site, stage, run, command, operator, startedMs, ...event.plan.target };
        return null;
      }
      case 'locked': {
        isUnderWay = true;
        return (
          known &&
          make('start', event.atMs, `${whatOf(known)} begins on ${count(known.nodes.length, 'node')}`, [])
        );
      }
      case 'fleet-taken': {
        if (started === null) return null;
        const { site, stage, run, command, operator, atMs: startedMs, nodes } = started;
        const { from, to } = event.intent;
        const release = imageRelease((command === 'abort' ? from : to).image);
        known = { site, stage, run, command, operator, startedMs, nodes, release };
        isUnderWay = true;
        return make('start', event.atMs, `${whatOf(known)} begins on ${event.fleet}`, []);
      }
      case 'run-ended': {
        const moment = endings[event.report.outcome];
        if (!isUnderWay || known === null || moment === null) return null;
        return make(
          moment,
          event.atMs,
          `${whatOf(known)}: ${event.report.outcome}`,
          evidenceOf(event.report),
        );
      }
      default:
        return null;
    }
  };
}

const endings: { readonly [O in Report['outcome']]: Moment | null } = {
  done: 'success',
  'done in part': 'failure',
  held: 'hold',
  'rolled back': 'rollback',
  'needs a person': 'failure',
  interrupted: 'failure',
  'nothing to do': null,
  refused: null,
  locked: null,
};

function whatOf({ command, release }: Pick<Notice, 'command' | 'release'>): string {
  if (isImageRelease(release))
    return `${command === 'abort' ? 'abort back to' : `${command} of`} ${release.id}`;
  return `${command} of ${release.revision.slice(0, 7) || 'an unknown revision'} as ${release.id}`;
}

const evidenceOf = ({ failure, warnings, behind, nodes, outcome }: Report): readonly string[] => {
  const out = nodes?.filter(({ serving, heldOut }) => !serving && !heldOut).map(({ name }) => name) ?? [];
  return [
    ...(failure ? [failure.message] : []),
    ...(failure?.hint ? [`hint: ${failure.hint}`] : []),
    ...(behind.length > 0 ? [`behind: ${list(behind)}`] : []),
    ...(outcome !== 'done' && out.length > 0 ? [`not serving: ${list(out)}`] : []),
    ...warnings,
  ];
};
