import { count, list } from '../core/errors.ts';
import type { FailureText, NodeReport, Report } from '../core/event.ts';
import type { Plan } from '../core/plan.ts';
import { duration, names } from './amount.ts';
import type { Paint } from './paint.ts';
import { releaseText, shortRevision } from './release-text.ts';
import { balancersOf, byBalancer, serversText } from './servers-text.ts';
import { indent, table } from './table.ts';

export interface Ending {
  readonly report: Report;
  /** What the run set out to do; null if it did not come to a plan. */
  readonly plan: Plan | null;
  /** `deploy` or `rollback`, for what to run again. */
  readonly command: string;
  /** As the user named the site. */
  readonly wanted: string;
  readonly paint: Paint;
}

/** What is live where, how the run ended, why, and what to do next: enough to act on at three in the morning. */
export function endingText(ending: Ending): string {
  const { report, paint } = ending;
  const paragraphs = [
    touched(report) && report.nodes !== null ? nodeTable(report.nodes, paint) : '',
    report.backup ? `backup before the migration: ${report.backup.name} on ${report.backup.node}` : '',
    report.warnings.map((text) => `${paint.warn('warning:')} ${text}`).join('\n'),
    [closings[report.outcome](ending), ...details(ending)].join('\n'),
  ];
  return `\n${paragraphs.filter((text) => text !== '').join('\n\n')}\n`;
}

/** A run that changed nothing, or could not begin, reads no nodes at its end unless they are as wanted. */
const touched = ({ outcome, nodes }: Report): boolean =>
  outcome !== 'refused' && outcome !== 'locked' && !(outcome === 'interrupted' && nodes === null);

function nodeTable(nodes: readonly NodeReport[], paint: Paint): string {
  const servers = nodes.flatMap((node) => node.servers);
  const balancers = balancersOf(servers);
  const rows = nodes.map((node) => [
    node.name,
    node.release ?? paint.bad('?'),
    shortRevision(node.revision),
    ...byBalancer(servers, balancers, node.name).map((own) => serversText(own, paint)),
    node.outMs === null ? '-' : duration(node.outMs),
    node.heldOut ? paint.warn('held out by an operator') : node.serving ? '' : paint.bad('not serving'),
  ]);
  const header = ['node', 'live', 'revision', ...balancers, 'out for'].map(paint.dim);
  return table([header, ...rows]);
}

/** The one line to read if only one is read. */
const closings: { readonly [O in Report['outcome']]: (ending: Ending) => string } = {
  done: ({ report, plan, paint }) => {
    const how = report.warnings.length > 0 ? `Done with ${count(report.warnings.length, 'warning')}` : 'Done';
    return `${paint.good(how)} in ${duration(report.tookMs)}: ${reached(report, plan)}.`;
  },
  'nothing to do': ({ plan, paint }) =>
    `${paint.good('Nothing to do')}${plan ? `: ${releaseText(plan.target.release)} is live on ${names(plan.target.nodes, namesMax)} already` : ''}.`,
  'done in part': ({ report, plan, paint }) =>
    `${paint.warn('Done in part')} in ${duration(report.tookMs)}: ${reached(report, plan)}; behind: ${list(report.behind)}.`,
  held: ({ report, paint }) =>
    paint.warn(`Held after ${duration(report.tookMs)}: the run keeps its lock, and waits for a person.`),
  'rolled back': ({ report, command, paint }) =>
    paint.bad(`The ${command} failed after ${duration(report.tookMs)}, and the site is back as it was.`),
  'needs a person': ({ report, command, paint }) =>
    paint.bad(
      `THE ${command.toUpperCase()} FAILED after ${duration(report.tookMs)}, AND THE SITE NEEDS A PERSON.`,
    ),
  refused: ({ report, paint }) =>
    report.failure ? paint.bad('Refused: nothing was touched.') : 'Not confirmed: nothing was touched.',
  locked: ({ paint }) => paint.bad('Locked by another run: nothing was touched.'),
  interrupted: ({ report, command, paint }) =>
    paint.warn(
      `The ${command} was interrupted after ${duration(report.tookMs)}; ${touched(report) ? 'every node is in a safe state' : 'nothing was touched'}.`,
    ),
};

function reached(report: Report, plan: Plan | null): string {
  if (plan === null || report.nodes === null) return 'the plan was carried out';
  const { release, nodes } = plan.target;
  const serving = report.nodes.filter((node) => node.serving).length;
  const servingText = `${serving} of ${report.nodes.length} serving`;
  if (plan.purpose === 'recovery') return `${liveGroups(report.nodes).join('; ')}, ${servingText}`;
  const on = report.nodes.filter((node) => nodes.includes(node.name) && node.release === release.id);
  return `${releaseText(release)} is live on ${on.length} of ${count(nodes.length, 'node')}, ${servingText}`;
}

function details(ending: Ending): readonly string[] {
  const { report, paint } = ending;
  const texts = [
    ...(report.failure ? failureLines(report.failure, paint) : []),
    ...(isBroken(report) ? whatIsWhere(report.nodes) : []),
    ...nextSteps(ending),
  ];
  return texts.map((text) => indent(text, 2));
}

export const failureLines = ({ message, hint }: FailureText, paint: Paint): readonly string[] => [
  message,
  ...(hint === null ? [] : [`${paint.strong('hint:')} ${hint}`]),
];

const isBroken = (report: Report): boolean =>
  touched(report) && ['rolled back', 'needs a person', 'held', 'interrupted'].includes(report.outcome);

function whatIsWhere(nodes: readonly NodeReport[] | null): readonly string[] {
  if (nodes === null) return ['The site could not be read at the end: what is live where is not known.'];
  const out = nodes.filter((node) => !node.serving && !node.heldOut).map(({ name }) => name);
  return [
    `live: ${liveGroups(nodes).join('; ')}.`,
    out.length === 0
      ? `serving: ${nodes.filter((node) => node.serving).length} of ${nodes.length}.`
      : `NOT SERVING: ${list(out)}.`,
  ];
}

/** `20260114093000 (3f2a9c1) on web1, web2`, one text for each release. */
function liveGroups(nodes: readonly NodeReport[]): readonly string[] {
  const ids = [...new Set(nodes.map(({ release }) => release))];
  return ids.map((id) => {
    const group = nodes.filter(({ release }) => release === id);
    const text =
      id === null ? 'no release that could be read' : releaseText({ id, revision: group[0]!.revision });
    const isAll = group.length === nodes.length && nodes.length > 1;
    return `${text} on ${
      isAll
        ? `all ${nodes.length} nodes`
        : names(
            group.map(({ name }) => name),
            namesMax,
          )
    }`;
  });
}

function nextSteps({ report, command, wanted, paint }: Ending): readonly string[] {
  const back =
    command === 'deploy'
      ? [[`sluice rollback ${wanted}`, 'every node back to the release before'] as const]
      : [];
  const next: { readonly [O in Report['outcome']]?: readonly (readonly [string, string])[] } = {
    'needs a person': [
      [`sluice status ${wanted}`, 'what is where now'],
      ...back,
      [`sluice ${command} ${wanted}`, 'the same again, once the cause is gone'],
    ],
    held: [
      [`sluice promote ${wanted}`, 'goes on'],
      [`sluice abort ${wanted}`, 'every node back to the release before'],
    ],
    'done in part': [[`sluice sync ${wanted}`, 'brings the nodes on that are behind']],
    interrupted: [[`sluice ${command} ${wanted}`, 'goes on where this run stopped'], ...back],
  };
  const rows = next[report.outcome];
  return rows && touched(report) ? [`${paint.strong('next:')}`, indent(table(rows), 2)] : [];
}

const namesMax = 8;
