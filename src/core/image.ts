import { count, list } from './errors.ts';
import type { ReleaseId, Revision } from './release.ts';

/**
 * What a directory holds, file by file, in the one order that `LC_ALL=C sort` gives its lines. Times and owners are no
 * part of it: the same content is the same manifest, wherever it is read.
 */
export type Manifest = readonly ImageEntry[];

/** Paths begin below the directory, which is no entry itself. Modes are octal digits, such as 644. */
export type ImageEntry = { readonly path: string } & (
  | { readonly kind: 'file'; readonly mode: string; readonly bytes: number; readonly digest: string }
  | { readonly kind: 'directory'; readonly mode: string }
  | { readonly kind: 'link'; readonly target: string }
);

/** Whether a path, or the target of a link, can stand in a manifest: tools on nodes read backslashes each in a way of its own. */
export const isPortable = (text: string): boolean => !/[\p{Cc}\\\uFFFD]/u.test(text);

export type FileEntry = Extract<ImageEntry, { readonly kind: 'file' }>;

/** What a store says of an image beside its manifest. */
export interface ImageSummary {
  /** SHA-256 of its manifest as text. */
  readonly name: Revision;
  /** When it was captured, the last time if that was more than once. */
  readonly atMs: number;
  /** Such as `seed1:/srv/app`. */
  readonly from: string;
  /** Who captured it, `user@host`. */
  readonly by: string;
  /** What was checked out there; null: changes were made by hand. */
  readonly commit: Revision | null;
  readonly files: number;
  readonly bytes: number;
}

/** The text that an image is named by: a line for each entry, in order. */
export const manifestText = (manifest: Manifest): string =>
  manifest.map((entry) => `${manifestLine(entry)}\n`).join('');

export function manifestLine(entry: ImageEntry): string {
  const { kind, path } = entry;
  if (kind === 'file') return `f ${entry.mode} ${entry.bytes} ${entry.digest} ${path}`;
  return kind === 'directory' ? `d ${entry.mode} ${path}` : `l ${path}\t${entry.target}`;
}

/** The manifest of entries in any order. */
export const manifestOf = (entries: readonly ImageEntry[]): Manifest =>
  entries
    .map((entry) => ({ entry, points: Array.from(manifestLine(entry), (one) => one.codePointAt(0)!) }))
    .sort((a, b) => order(a.points, b.points))
    .map(({ entry }) => entry);

/** Code points stand in the order of their bytes in UTF-8; the halves that a text is made of do not. */
function order(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((point, i) => point !== b[i]);
  return differs < 0 ? a.length - b.length : a[differs]! - (b[differs] ?? -1);
}

/** Reads what `manifestText` wrote. Throws if it is anything else. */
export const parseManifest = (text: string): Manifest => text.split('\n').slice(0, -1).map(entryOf);

function entryOf(line: string): ImageEntry {
  const [, mode, bytes, digest, file] = /^f ([0-7]+) (\d+) ([0-9a-f]{64}) (.+)$/.exec(line) ?? [];
  if (file !== undefined)
    return { kind: 'file', path: file, mode: mode!, bytes: Number(bytes), digest: digest! };
  const [, directoryMode, directory] = /^d ([0-7]+) (.+)$/.exec(line) ?? [];
  if (directory !== undefined) return { kind: 'directory', path: directory, mode: directoryMode! };
  const [, link, target] = /^l ([^\t]+)\t(.+)$/.exec(line) ?? [];
  if (link === undefined) throw new Error(`${JSON.stringify(line)} is no line of a manifest`);
  return { kind: 'link', path: link, target: target! };
}

/** An image that a node has as a release, and what of it is no longer as it was. */
export interface HeldImage {
  readonly release: ReleaseId;
  readonly image: Revision;
  /** Paths whose files were changed or are gone. */
  readonly spoilt: readonly string[];
}

/** What a path is in two manifests; null: it is not there. */
export interface Difference {
  readonly path: string;
  readonly from: ImageEntry | null;
  readonly to: ImageEntry | null;
}

/** Every path that is not the same in both, by its name. */
export function differences({ from, to }: { from: Manifest; to: Manifest }): readonly Difference[] {
  const byPath = (manifest: Manifest) => new Map(manifest.map((entry) => [entry.path, entry]));
  const [before, after] = [byPath(from), byPath(to)];
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((path) => ({ path, from: before.get(path) ?? null, to: after.get(path) ?? null }))
    .filter((one) => !one.from || !one.to || manifestLine(one.from) !== manifestLine(one.to))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

export const changeOf = ({ from, to }: Difference): 'added' | 'removed' | 'changed' =>
  from === null ? 'added' : to === null ? 'removed' : 'changed';

/** `2 paths differ: a.php and b.php`, with at most three of them by name. */
export function differencesText(found: readonly Difference[]): string {
  if (found.length === 0) return 'nothing differs';
  const named = found.slice(0, 3).map(({ path }) => path);
  const others = found.length - named.length;
  const shown = others > 0 ? `${named.join(', ')} and ${count(others, 'other')}` : list(named);
  return `${count(found.length, 'path')} ${found.length === 1 ? 'differs' : 'differ'}: ${shown}`;
}
