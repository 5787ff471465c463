import type { Event, FailureText } from '../core/event.ts';
import { commandData } from './github-mask.ts';
import { plainTexts } from './plain.ts';
import { aimOf, createProgress } from './progress.ts';
import type { Reporter, ReporterOptions } from './reporter.ts';
import { stepText } from './step-text.ts';
import { summaryMarkdown } from './summary-markdown.ts';

/**
 * Plain lines for the log of GitHub Actions: each step is a group, failures and warnings are annotations, and the end
 * stands in the summary of the job. Nothing that others wrote is taken for a command.
 * Source: GitHub Actions, "Workflow commands"; how the runner escapes is in actions/toolkit, core/src/command.ts.
 */
export function githubReporter({ output, wanted, summary }: ReporterOptions): Reporter {
  const textOf = plainTexts(wanted);
  const progress = createProgress();
  let isOpen = false;
  const close = (): string => {
    const text = isOpen ? '::endgroup::\n' : '';
    isOpen = false;
    return text;
  };
  const open = (event: Event & { readonly type: 'step-started' }): string => {
    const text = `${close()}::group::${commandData(`${event.index + 1}/${event.total} ${stepText(event.step)}`)}\n`;
    isOpen = true;
    return text;
  };
  return {
    draw(event) {
      progress.note(event);
      const before = event.type === 'step-started' ? open(event) : closesFirst.has(event.type) ? close() : '';
      const after = closesThen.has(event.type) ? close() : '';
      output.write(`${before}${inert(textOf(event))}${after}${annotations(event)}`);
      if (event.type !== 'run-ended') return;
      summary?.(summaryMarkdown({ report: event.report, ...aimOf(progress), wanted }));
    },
    clear() {},
    inert,
  };
}

const closesFirst: ReadonlySet<Event['type']> = new Set(['recovering', 'run-ended']);
const closesThen: ReadonlySet<Event['type']> = new Set(['step-done', 'step-failed']);

/** A step that fails names what failed on each node, so those are enough; the end repeats them. */
function annotations(event: Event): string {
  switch (event.type) {
    case 'note':
      return event.level === 'warning' ? annotation('warning', 'sluice', event.text) : '';
    case 'node-failed':
      return annotation('error', `${event.node}: ${event.step.kind} failed`, inFull(event.failure));
    case 'run-ended': {
      const { failure, warnings, outcome } = event.report;
      return [
        ...warnings.map((text) => annotation('warning', 'sluice', text)),
        ...(failure ? [annotation('error', outcome, inFull(failure))] : []),
      ].join('');
    }
    default:
      return '';
  }
}

const inFull = ({ message, hint }: FailureText): string =>
  hint === null ? message : `${message}\nhint: ${hint}`;

const annotation = (level: 'error' | 'warning', title: string, text: string): string =>
  `::${level} title=${property(title)}::${commandData(text)}\n`;

const property = (text: string): string => commandData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** The runner takes `::` at the beginning of a line for a command, and `##[` anywhere. */
const inert = (text: string): string => text.replace(/^([^\S\n]*):(?=:)/gm, '$1: ').replaceAll('##[', '# #[');
