/**
 * Text in a code span: no markup, link, mention or HTML in it takes effect (CommonMark 0.31, 6.1). What would break the line, or
 * turn its direction, is left out.
 */
export function code(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]+/gu, ' ').trim();
  const fence = fenceOf(line, 1);
  const gap = line.startsWith('`') || line.endsWith('`') || line === '' ? ' ' : '';
  return `${fence}${gap}${line}${gap}${fence}`;
}

/** The same for several lines, each kept (CommonMark 0.31, 4.5). */
export function codeBlock(text: string): string {
  const lines = text.replace(/(?:(?!\n)[\p{Cc}\u2028-\u202e\u2066-\u2069])+/gu, ' ').trimEnd();
  const fence = fenceOf(lines, 3);
  return `${fence}text\n${lines}\n${fence}`;
}

/** Longer than any run of backticks inside, and so ended by none of them. */
const fenceOf = (text: string, least: number): string =>
  '`'.repeat(Math.max(least, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
