/** By name of the column, for versions add columns. The first line of a table names them, after `# `. */
export function rowsOf(
  [header = '', ...lines]: readonly string[],
  split: (line: string) => readonly string[],
): readonly Cell[] {
  if (!header.startsWith('# ')) throw new Error(`a table without a header: ${shown(header)}`);
  const columns = split(header.slice(2));
  return lines.map((line) => {
    const cells = split(line);
    return (column) => cells[columns.indexOf(column)] ?? unreadable(column, line);
  });
}

/** A cell of one row, by the name of its column; throws if there is no such column. */
export type Cell = (column: string) => string;

/** Texts that hold commas stand in double quotes, such as the reason of a failed check. Few lines have any. */
export const commaSeparated = (line: string): readonly string[] =>
  line.includes('"')
    ? [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(([, value]) => value!)
    : line.split(',');

export const numberOf = (cell: string): number =>
  /^\d+$/.test(cell) ? Number(cell) : unreadable('a number', cell);

export function unreadable(what: string, where: string): never {
  throw new Error(`${what} cannot be read from ${shown(where)}`);
}

export const shown = (text: string): string => JSON.stringify(text.slice(0, 60));
