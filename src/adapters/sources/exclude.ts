/**
 * Whether a path of a release is left out. A pattern is a path from the release's top, and takes with it all that is
 * below; `*` and `?` stand for any text and any character within one name, `**` for any number of directories.
 */
export function excluder(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map(expression);
  return (path) => expressions.some((pattern) => pattern.test(path));
}

const expression = (pattern: string): RegExp => {
  const source = pattern
    .replace(/^\.?\//, '')
    .replace(/\/$/, '')
    .replace(
      /\*\*\/|\*\*|[\s\S]/g,
      (piece) => wildcards[piece] ?? piece.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&'),
    );
  return new RegExp(`^${source}(?:/|$)`, 's');
};

const wildcards: Readonly<Record<string, string>> = {
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
};
