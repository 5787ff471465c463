import { type Ending, endingText } from './ending.ts';
import { code, codeBlock } from './markdown.ts';
import { paintWith } from './paint.ts';

/** How a run ended, for the summary of a CI job. */
export function summaryMarkdown(ending: Omit<Ending, 'paint'>): string {
  const { command, wanted, report } = ending;
  const text = endingText({ ...ending, paint: paintWith(false) });
  return `### ${code(`${command} of ${wanted}`)}: ${report.outcome}\n\n${codeBlock(text.replace(/^\n+/, ''))}\n\n`;
}
