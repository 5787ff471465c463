import { stripVTControlCharacters } from 'node:util';

/** Lines with columns two blanks apart, as wide as their widest cell; cells may be painted. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => width(row[i] ?? ''))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => pad(cell, widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Every line moved to the right. */
export const indent = (text: string, by: number): string => text.replaceAll(/^(?=.)/gm, ' '.repeat(by));

const width = (cell: string): number => stripVTControlCharacters(cell).length;

const pad = (cell: string, to: number): string => cell + ' '.repeat(to - width(cell));
