import { count, list } from '../core/errors.ts';
import type { FailureText, NodeReport, Report } from '../core/event.ts';
import type { FleetIntent } from '../core/fleet-log.ts';
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
  /** Of a fleet: what the run had it for; null before it had it, and of a site of nodes. */
  readonly intent: FleetIntent | null;
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
  done: (ending) => {
    const { report, paint } = ending;
    const how = report.warnings.length > 0 ? `Done with ${count(report.warnings.length, 'warning')}` : 'Done';
    return `${paint.good(how)} in ${duration(report.tookMs)}: ${reached(ending)}.`;
  },
  'nothing to do': ({ plan, paint }) =>
    `${paint.good('Nothing to do')}${plan ? `: ${releaseText(plan.target.release)} is live on ${names(plan.target.nodes, namesMax)} already` : ''}.`,
  'done in part': (ending) =>
    `${ending.paint.warn('Done in part')} in ${duration(ending.report.tookMs)}: ${reached(ending)}; behind: ${list(ending.report.behind)}.`,
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
  interrupted: ({ report, intent, command, paint }) => {
    const safe = intent ? 'the fleet is as the last step left it' : 'every node is in a safe state';
    return paint.warn(
      `The ${command} was interrupted after ${duration(report.tookMs)}; ${touched(report) ? safe : 'nothing was touched'}.`,
    );
  },
};

function reached({ report, plan, intent }: Ending): string {
  if (report.nodes === null || (plan === null && intent === null)) return 'the plan was carried out';
  const serving = report.nodes.filter((node) => node.serving).length;
  const servingText = `${serving} of ${report.nodes.length} serving`;
  if (plan === null) return `${liveGroups(report.nodes, 'machines').join('; ')}, ${servingText}`;
  const { release, nodes } = plan.target;
  if (plan.purpose === 'recovery') return `${liveGroups(report.nodes).join('; ')}, ${servingText}`;
  const on = report.nodes.filter((node) => nodes.includes(node.name) && node.release === release.id);
  return `${releaseText(release)} is live on ${on.length} of ${count(nodes.length, 'node')}, ${servingText}`;
}

function details(ending: Ending): readonly string[] {
  const { report, paint } = ending;
  const texts = [
    ...(report.failure ? failureLines(report.failure, paint) : []),
    ...(isBroken(report) ? whatIsWhere(report.nodes, ending.intent ? 'machines' : 'nodes') : []),
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

function whatIsWhere(nodes: readonly NodeReport[] | null, noun: Noun): readonly string[] {
  if (nodes === null) return ['The site could not be read at the end: what is live where is not known.'];
  const out = nodes.filter((node) => !node.serving && !node.heldOut).map(({ name }) => name);
  return [
    `live: ${liveGroups(nodes, noun).join('; ')}.`,
    out.length === 0
      ? `serving: ${nodes.filter((node) => node.serving).length} of ${nodes.length}.`
      : `NOT SERVING: ${list(out)}.`,
  ];
}

type Noun = 'nodes' | 'machines';

/** `20260114093000 (3f2a9c1) on web1, web2`, one text for each release. */
function liveGroups(nodes: readonly NodeReport[], noun: Noun = 'nodes'): readonly string[] {
  const ids = [...new Set(nodes.map(({ release }) => release))];
  return ids.map((id) => {
    const group = nodes.filter(({ release }) => release === id);
    const text =
      id === null ? 'no release that could be read' : releaseText({ id, revision: group[0]!.revision });
    const isAll = group.length === nodes.length && nodes.length > 1;
    return `${text} on ${
      isAll
        ? `all ${nodes.length} ${noun}`
        : names(
            group.map(({ name }) => name),
            namesMax,
          )
    }`;
  });
}

function nextSteps(ending: Ending): readonly string[] {
  const { report, intent, paint } = ending;
  const rows = (intent ? fleetRows(ending, intent) : nodeRows(ending))[report.outcome];
  return rows && touched(report) ? [`${paint.strong('next:')}`, indent(table(rows), 2)] : [];
}

type Rows = { readonly [O in Report['outcome']]?: readonly (readonly [string, string])[] };

/** A run that has not ended keeps the fleet until it is gone on with: by nothing else. */
function fleetRows({ report, wanted }: Ending, { from }: FleetIntent): Rows {
  const status = [`sluice status ${wanted}`, 'what is where now'] as const;
  const abort = [`sluice abort ${wanted}`, `back to ${from.image}`] as const;
  const resume = [`sluice resume ${wanted}`, 'goes on where this run stopped'] as const;
  return {
    'needs a person': report.failure?.code === 'FLEET_LOST' ? [status] : [status, resume, abort],
    held: [[`sluice promote ${wanted}`, 'goes on'], abort],
    interrupted: [resume, abort],
  };
}

function nodeRows({ command, wanted }: Ending): Rows {
  const back =
    command === 'deploy'
      ? [[`sluice rollback ${wanted}`, 'every node back to the release before'] as const]
      : [];
  return {
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
}

const namesMax = 8;
