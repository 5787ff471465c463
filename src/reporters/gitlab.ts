import type { Event } from '../core/event.ts';
import { plainTexts } from './plain.ts';
import type { Reporter, ReporterOptions } from './reporter.ts';
import { stepText } from './step-text.ts';

/**
 * Plain lines for the log of GitLab CI: each step is a section that is folded up once it is done. One that failed stays
 * open. Source: GitLab, "CI/CD job logs", custom collapsible sections.
 */
export function gitlabReporter({ output, wanted }: Pick<ReporterOptions, 'output' | 'wanted'>): Reporter {
  const textOf = plainTexts(wanted);
  let sections = 0;
  let isOpen = false;
  const close = ({ atMs }: Event): string => {
    const text = isOpen ? marker('end', atMs, sections) : '';
    isOpen = false;
    return text === '' ? '' : `${text}\n`;
  };
  const open = (event: Event & { readonly type: 'step-started' }): string => {
    const ended = close(event);
    isOpen = true;
    sections += 1;
    const header = `${event.index + 1}/${event.total} ${inert(stepText(event.step))}`;
    return `${ended}${marker('start', event.atMs, sections)}${header}\n`;
  };
  return {
    draw(event) {
      const before =
        event.type === 'step-started' ? open(event) : closesFirst.has(event.type) ? close(event) : '';
      const after = event.type === 'step-done' ? close(event) : '';
      output.write(`${before}${inert(textOf(event))}${after}`);
    },
    clear() {},
    inert,
  };
}

const closesFirst: ReadonlySet<Event['type']> = new Set(['step-failed', 'recovering', 'run-ended']);

const marker = (edge: 'start' | 'end', atMs: number, section: number): string =>
  `\u001b[0Ksection_${edge}:${Math.floor(atMs / 1000)}:sluice_${section}${edge === 'start' ? '[collapsed=true]' : ''}\r\u001b[0K`;

/** Without what a marker, or any other order to a terminal, is made of. */
const inert = (text: string): string => text.replace(/(?!\n)\p{Cc}/gu, '');
