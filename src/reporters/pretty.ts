import { stripVTControlCharacters } from 'node:util';
import type { Event } from '../core/event.ts';
import { duration, names } from './amount.ts';
import { endingText, failureLines } from './ending.ts';
import { type Paint, paintWith } from './paint.ts';
import { aimOf, createProgress, type Progress, type StepProgress } from './progress.ts';
import type { Output, Reporter, ReporterOptions } from './reporter.ts';
import { interruptedText, plannedText, recoveringText, sentText, takenText } from './run-text.ts';
import { stepObject } from './step-text.ts';
import { indent } from './table.ts';

/** The one line that moves, always the last on the screen. */
export interface Spinner {
  /** Shows the text, or changes it. */
  show(text: string): void;
  hide(): void;
}

export interface PrettyOptions extends ReporterOptions {
  readonly spinner: Spinner;
}

/** For a terminal: what is under way moves on the last line, what has ended stays above it. */
export function prettyReporter({ output, wanted, verbose, colour, spinner }: PrettyOptions): Reporter {
  const paint = paintWith(colour);
  const progress = createProgress();
  return {
    draw(event) {
      progress.note(event);
      const context: Context = { event, progress, paint, verbose, wanted };
      const lines = drawings[event.type]?.(context as never) ?? [];
      if (lines.length > 0) spinner.hide();
      for (const line of lines) output.write(`${line}\n`);
      const live = liveText(context);
      if (live === null) spinner.hide();
      else spinner.show(fitted(live, output));
    },
    clear: () => spinner.hide(),
  };
}

interface Context<E extends Event = Event> {
  readonly event: E;
  readonly progress: Progress;
  readonly paint: Paint;
  readonly verbose: boolean;
  readonly wanted: string;
}

/** Lines that stay. */
const drawings: {
  readonly [T in Event['type']]?: (context: Context<Extract<Event, { type: T }>>) => readonly string[];
} = {
  'run-started': ({ event, paint }) => [
    `${paint.strong(`${event.command} ${event.site}/${event.stage}`)} ${paint.dim(`by ${event.operator}`)}`,
  ],
  note: ({ event, paint }) => [
    event.level === 'warning' ? `${paint.warn('!')} ${event.text}` : `${paint.dim('·')} ${event.text}`,
  ],
  planned: ({ event, paint }) => [`${paint.good('✔')} ${plannedText(event.plan)}`],
  locked: ({ event, paint }) => [`${paint.good('✔')} locked ${names(event.nodes, namesMax)}`],
  'fleet-taken': ({ event, paint }) => [`${paint.good('✔')} ${takenText(event.fleet, event.intent)}`],
  line: ({ event, paint, verbose }) => (verbose ? [`  ${paint.dim(`${event.from} | ${event.text}`)}`] : []),
  'node-done': ({ event, paint, verbose }) =>
    verbose && event.detail !== null ? [`  ${paint.dim(`${event.node}: ${event.detail}`)}`] : [],
  'node-failed': ({ event, paint }) => [indent(`${paint.bad('✖')} ${event.failure.message}`, 2)],
  'step-done': ({ event, progress, paint, verbose }) => [
    [
      paint.good('✔'),
      stepLine(progress.step(), progress.total(), paint),
      paint.dim([duration(event.tookMs), ...(verbose ? [] : soleDetail(progress.step()))].join(', ')),
    ].join(' '),
  ],
  'step-failed': ({ event, progress, paint }) => [
    `${paint.bad('✖')} ${stepLine(progress.step(), progress.total(), paint)}`,
    ...(progress.step()?.failed.length
      ? []
      : failureLines(event.failure, paint).map((text) => indent(text, 2))),
  ],
  'left-out': ({ event, paint }) => [`${paint.warn('!')} going on without ${names(event.nodes, namesMax)}`],
  interrupted: ({ event, paint }) => [`${paint.warn('!')} ${interruptedText(event.signal)}`],
  recovering: ({ event, paint }) => [`${paint.warn('↩')} ${recoveringText(event.policy, event.plan)}`],
  'run-ended': ({ event, progress, paint, wanted }) => [
    endingText({
      report: event.report,
      ...aimOf(progress),
      wanted,
      paint,
    }).trimEnd(),
  ],
};

/** ` 3/14 drain web1` */
function stepLine(step: StepProgress | null, total: number, paint: Paint): string {
  if (step === null) return '';
  const number = `${String(step.index + 1).padStart(String(total).length)}/${total}`;
  return `${paint.dim(number)} ${paint.strong(step.step.kind)} ${stepObject(step.step, namesMax)}`;
}

/** What a node said of itself, where all that spoke said the same. */
const soleDetail = (step: StepProgress | null): readonly string[] => {
  const details = [...new Set(Object.values(step?.details ?? {}))];
  return details.length === 1 ? details : [];
};

/** The moving line while `event` is the last that came; null if nothing is under way. */
function liveText({ event, progress, paint }: Context): string | null {
  if (event.type === 'run-started') return 'reading the site';
  if (!underWay.includes(event.type)) return null;
  const step = progress.step();
  if (step === null || step.ended) return null;
  const facts = [
    ...(step.sent ? [sentText(step)] : []),
    ...(step.step.nodes.length > 1 && step.step.kind !== 'build'
      ? [`${step.done.length} of ${step.step.nodes.length} done`]
      : []),
    ...(event.type === 'line' ? [event.text.trim()] : []),
  ];
  return [stepLine(step, progress.total(), paint), ...facts.map(paint.dim)].join('  ');
}

const underWay: readonly Event['type'][] = [
  'step-started',
  'bytes',
  'line',
  'node-done',
  'node-failed',
  'interrupted',
  'note',
];

/** Cut to the width of the terminal, for a line that wraps cannot be redrawn in place. */
function fitted(text: string, { columns = 80 }: Output): string {
  const room = columns - 3;
  return stripVTControlCharacters(text).length <= room
    ? text
    : `${stripVTControlCharacters(text).slice(0, room - 1)}…`;
}

const namesMax = 6;
