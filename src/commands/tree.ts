import type { NodeCommand } from '../core/command.ts';
import type { ImageEntry } from '../core/image.ts';
import { quote, words } from './shell.ts';

/** An entry of a directory before its content was read. */
export type TreeEntry =
  | Exclude<ImageEntry, { readonly kind: 'file' }>
  | Omit<Extract<ImageEntry, { readonly kind: 'file' }>, 'digest'>
  | { readonly kind: 'other'; readonly path: string };

/** Writes a line of `treeShape` for all that is below a directory, without `leftOut`. Changes nothing. */
export const listTree = (path: string, leftOut: readonly string[]): NodeCommand => ({
  name: 'list-tree',
  params: { path, leftOut },
  summary: `list ${path}`,
  script: [`cd ${quote(path)}`, treeShape(leftOut)].join('\n'),
  parse: () => undefined,
  timeoutMs: 10 * 60_000,
});

/** The digest of each file that standard input names, with a NUL after each name. Changes nothing. */
export const hashFiles = (path: string): NodeCommand => ({
  name: 'hash-files',
  params: { path },
  summary: `read the files of ${path}`,
  script: [`cd ${quote(path)}`, 'LC_ALL=C xargs -0 -r sha256sum'].join('\n'),
  parse: () => undefined,
  timeoutMs: 30 * 60_000,
});

/** Reads a line of `hashFiles`. */
export function parseHash(line: string): { readonly path: string; readonly digest: string } {
  const [, digest, path] = /^([0-9a-f]{64}) [ *]\.\/(.+)$/.exec(line) ?? [];
  if (path === undefined) throw new Error(`${JSON.stringify(line)} is no line of sha256sum`);
  return { path, digest: digest! };
}

/** Writes the files that standard input names, a line each, to standard output as a gzip-compressed tar. */
export const packFiles = (path: string): NodeCommand => ({
  name: 'pack-files',
  params: { path },
  summary: `pack files of ${path}`,
  script: [`cd ${quote(path)}`, 'tar -czf - -T -'].join('\n'),
  parse: () => undefined,
  timeoutMs: 30 * 60_000,
});

/**
 * Writes a line for each entry of the directory that the shell is in: kind, mode, size or target, and its path after
 * `./`. What has another kind begins with `o`.
 */
export const treeShape = (leftOut: readonly string[] = []): string => {
  const literal = leftOut.filter((path) => !/[*?[\]\\]/.test(path));
  const pruned =
    literal.length === 0
      ? ''
      : `${words('(', ...literal.flatMap((path, i) => [...(i > 0 ? ['-o'] : []), '-path', `./${path}`]), ')', '-prune', '-o')} `;
  return [
    `find . ${pruned}-type f -exec stat -c 'f %a %s %n' {} +`,
    `find . ${pruned}! -name . -type d -exec stat -c 'd %a %n' {} +`,
    `find . ${pruned}-type l -exec sh -c 'for link; do printf "l %s\\t%s\\n" "$link" "$(readlink "$link")"; done' sh {} +`,
    `find . ${pruned}! -type f ! -type d ! -type l -exec sh -c 'for other; do printf "o %s\\n" "$other"; done' sh {} +`,
  ].join('\n');
};

/** Reads a line of `treeShape`. */
export function parseShape(line: string): TreeEntry {
  const [, kind, rest = ''] = /^([fdlo]) (.*)$/.exec(line) ?? [];
  const [, mode = '', bytes, below = ''] =
    (kind === 'f' ? /^([0-7]+) (\d+) \.\/(.+)$/ : /^(?:([0-7]+) )?()\.\/(.+)$/).exec(rest) ?? [];
  const [path = '', ...target] = below.split('\t');
  if (kind === undefined || path === '') throw new Error(`${JSON.stringify(line)} is no line of a listing`);
  if (kind === 'f') return { kind: 'file', path: below, mode, bytes: Number(bytes) };
  if (kind === 'd') return { kind: 'directory', path: below, mode };
  return kind === 'l' ? { kind: 'link', path, target: target.join('\t') } : { kind: 'other', path: below };
}
