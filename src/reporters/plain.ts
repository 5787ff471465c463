import type { Event, EventBody } from '../core/event.ts';
import { duration, names } from './amount.ts';
import { endingText } from './ending.ts';
import { paintWith } from './paint.ts';
import { aimOf, createProgress, type Progress } from './progress.ts';
import type { Reporter, ReporterOptions } from './reporter.ts';
import { interruptedText, plannedText, recoveringText, sentText, takenText } from './run-text.ts';
import { stepText } from './step-text.ts';
import { indent } from './table.ts';

/** A line an event, each with the time since the run began: for CI logs and pipes. Nothing moves. */
export function plainReporter({ output, wanted }: Pick<ReporterOptions, 'output' | 'wanted'>): Reporter {
  const textOf = plainTexts(wanted);
  return {
    draw(event) {
      output.write(textOf(event));
    },
    clear() {},
  };
}

/** What is written for each event, in order: whole lines; '' for one that needs no saying. */
export function plainTexts(wanted: string): (event: Event) => string {
  const progress = createProgress();
  const paint = paintWith(false);
  const isDue = atMostEvery(bytesEveryMs);
  return (event) => {
    progress.note(event);
    if (event.type === 'bytes' && !isDue(event)) return '';
    if (isSaidByItsStep(event)) return '';
    const text = (lines[event.type] as (event: Event, progress: Progress) => string)(event, progress);
    const line = `${stamp(progress.elapsedMs(event.atMs))} ${hanging(text)}\n`;
    if (event.type !== 'run-ended') return line;
    const { report } = event;
    return `${line}${endingText({ report, ...aimOf(progress), wanted, paint })}`;
  };
}

/** Of a step on one node there is no more to say than that the step is done. */
const isSaidByItsStep = (event: Event): boolean =>
  event.type === 'node-done' && event.step.nodes.length === 1 && event.detail === null;

const bytesEveryMs = 10_000;

/** True for the first event, and then for one each `everyMs`. */
function atMostEvery(everyMs: number): (event: Event) => boolean {
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ atMs }) => {
    if (atMs - lastMs < everyMs) return false;
    lastMs = atMs;
    return true;
  };
}

const stamp = (ms: number): string => `[${(ms / 1000).toFixed(1).padStart(6)} s]`;

/** A text of several lines stays one entry of the log to the eye. */
const hanging = (text: string): string => {
  const [first, ...rest] = text.split('\n');
  return [first, ...rest.map((line) => indent(line, 11))].join('\n');
};

type Of<T extends EventBody['type']> = Event & Extract<EventBody, { type: T }>;

const lines: { readonly [T in EventBody['type']]: (event: Of<T>, progress: Progress) => string } = {
  'run-started': ({ command, site, stage, operator, nodes }) =>
    `${command} of ${site}/${stage} by ${operator}, on ${names(nodes)}`,
  note: ({ level, text }) => (level === 'warning' ? `warning: ${text}` : text),
  planned: ({ plan }) => plannedText(plan),
  locked: ({ nodes }) => `locked ${names(nodes)}`,
  'fleet-taken': ({ fleet, intent }) => takenText(fleet, intent),
  'step-started': ({ step, index, total }) => `${index + 1}/${total} ${stepText(step)}`,
  bytes: (_, progress) => sentText(progress.step()),
  line: ({ from, text }) => `${from} | ${text}`,
  'node-done': ({ node, step, detail }) => `${node} ${step.kind} done${detail === null ? '' : `: ${detail}`}`,
  'node-failed': ({ node, step, failure }) => `${node} ${step.kind} FAILED: ${failure.message}`,
  'step-done': ({ step, index, tookMs }, progress) =>
    `${index + 1}/${progress.total()} ${step.kind} done in ${duration(tookMs)}`,
  'step-failed': ({ step, index, failure }, progress) =>
    `${index + 1}/${progress.total()} ${step.kind} FAILED${progress.step()?.failed.length ? '' : `: ${failure.message}`}`,
  'left-out': ({ nodes }) => `goes on without ${names(nodes)}`,
  interrupted: ({ signal }) => interruptedText(signal),
  recovering: ({ policy, plan }) => recoveringText(policy, plan),
  'run-ended': ({ report }) => `ended: ${report.outcome}, exit status ${report.exit}`,
};
