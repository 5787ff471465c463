import type { NodeCommand } from '../core/command.ts';
import type { Release, ReleaseId, Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { linkTarget, mayHang } from '../core/storage.ts';
import { lendAssets } from './assets.ts';
import { type Fence, fenced, takeTurn } from './fenced.ts';
import { expectedShape, sums } from './image.ts';
import { layout } from './layout.ts';
import { quote, words } from './shell.ts';
import { treeShape } from './tree.ts';

export interface Received {
  /** SHA-256 of the bytes that arrived; null: the release was there already, whole. */
  readonly digest: string | null;
  /** How an image came out otherwise than its manifest says; empty: it did not. */
  readonly differs: readonly string[];
  /** Assets of the release that have other content in the live one: each keeps its own. */
  readonly clashes: readonly string[];
}

/**
 * Unpacks a release from standard input (a gzip-compressed tar), links what is shared, and lets it appear under
 * `releases/` by a rename once its digest is right: a half-made release is never seen there.
 */
export const receive = (
  fence: Fence,
  site: ReceivingSite,
  release: Release,
  digest: string,
): NodeCommand<Received> =>
  receiving(fence, site, release, {
    name: 'receive',
    digest,
    unpack: unpack('"$into"', '-xzf', digest),
    inPlace: [],
  });

/** A release that is known file by file, of which a node gets what it lacks. */
export interface ImageParcel {
  /** SHA-256 of the bytes that are sent. */
  readonly digest: string;
  /** SHA-256 of the manifest of the whole. */
  readonly image: Revision;
  /** The release whose files are taken for those that are not sent; null: all are. */
  readonly base: ReleaseId | null;
  /** When it was committed or captured, in seconds since the epoch. */
  readonly timeSeconds: number;
  /** Where the content of files is, as `<two digits>/<digest>` below it; null: it is sent. */
  readonly contents: string | null;
}

/**
 * The same for a part of it. The archive holds `tree/` with the files and links to add, and two lists of lines of a manifest: `added`,
 * and `removed` from that of `base`. Files that stay are hard links to those of `base`. What came of it is compared with
 * the manifest, every file by its digest, before it appears.
 */
export const receiveImage = (
  fence: Fence,
  site: ReceivingSite,
  release: Release,
  { digest, image, base, timeSeconds, contents }: ImageParcel,
): NodeCommand<Received> =>
  receiving(fence, site, release, {
    name: 'receive-image',
    digest,
    unpack: [
      unpack('"$into.parcel"', '-xpzf', digest),
      'LC_ALL=C; export LC_ALL',
      'parcel=$PWD/$into.parcel',
      'mkdir -p "$parcel/tree"',
      base === null
        ? ': > "$parcel/kept"'
        : `comm -23 ${layout.image(base)} "$parcel/removed" > "$parcel/kept"`,
      'sort "$parcel/kept" "$parcel/added" > "$parcel/manifest"',
      'sum=$(sha256sum < "$parcel/manifest")',
      `[ "\${sum%% *}" = ${image} ] || { echo "other manifest \${sum%% *}"; exit 0; }`,
      makeDirectories,
      ...(base === null ? [] : [takeFiles(base)]),
      ...(contents === null ? [] : [copyContents(contents)]),
      setDirectoryModes,
      compareTree,
      ...(contents === layout.fetched(release.id) ? [words('rm', '-rf', contents)] : []),
      'mv "$parcel/tree" "$into"',
      'mkdir -p .sluice/images',
      `printf '%s\\n' ${release.revision} > "$into/REVISION"`,
      `printf '%s\\n' ${timeSeconds} > "$into/REVISION_TIME"`,
    ].join('\n'),
    inPlace: [`mv -f "$parcel/manifest" ${layout.image(release.id)}`],
  });

type ReceivingSite = Pick<Site, 'deployTo' | 'linkedDirs' | 'linkedFiles' | 'shared' | 'assets'>;

interface Receiving {
  readonly name: string;
  readonly digest: string;
  /** Fills `$into`. */
  readonly unpack: string;
  /** What is put in its place just before the release is. */
  readonly inPlace: readonly string[];
}

const receiving = (
  fence: Fence,
  site: ReceivingSite,
  release: Release,
  { name, digest, unpack, inPlace }: Receiving,
): NodeCommand<Received> => ({
  name,
  params: {
    ...fence,
    release,
    digest,
    linkedDirs: site.linkedDirs,
    linkedFiles: site.linkedFiles,
    shared: site.shared,
    assets: site.assets,
  },
  summary: `receive release ${release.id}`,
  script: fenced(
    fence,
    [
      `if ${isWhole(release.id)}; then cat > /dev/null; else`,
      // A folder for each attempt: one whose connection was lost may still be ending.
      `into=${layout.incoming(release.id)}.$$`,
      `trap '${removeIncoming}' EXIT`,
      unpack,
      ...site.linkedDirs.map((path) => link(site, path, 'directory')),
      ...site.linkedFiles.map((path) => link(site, path, 'file')),
      // Before the release appears, and put there by a rename: a disk that is full must not leave it without its record.
      `echo "complete $(date +%s) ${digest}" > "$into.record"`,
      // It took a while: the lock may be another's by now.
      takeTurn(fence.run),
      // An attempt beside this one may have brought it meanwhile, and it may be live.
      `if ! ${isWhole(release.id)}; then`,
      words('rm', '-rf', layout.release(release.id)),
      ...lendAssets(release.id, site.assets),
      ...inPlace,
      `mv -T "$into" ${layout.release(release.id)}`,
      `mv -f "$into.record" ${layout.record(release.id)}`,
      'fi; fi',
    ].join('\n'),
  ),
  parse: (stdout) => ({
    digest: /^digest ([0-9a-f]+)$/m.exec(stdout)?.[1] ?? null,
    differs: [...stdout.matchAll(/^other (.+)$/gm)].map((match) => match[1]!),
    clashes: [...stdout.matchAll(/^clash (.+)$/gm)].map((match) => match[1]!),
  }),
  timeoutMs: 30 * 60_000,
});

const removeIncoming = 'rm -rf "$into" "$into.pipe" "$into.sum" "$into.record" "$into.parcel"';

const isWhole = (id: ReleaseId): string =>
  `{ grep -qs '^complete' ${layout.record(id)} && [ -d ${layout.release(id)} ]; }`;

/** One pass over the bytes: they are unpacked while they are counted. `place` is quoted. */
const unpack = (place: string, how: '-xzf' | '-xpzf', digest: string): string =>
  [
    removeIncoming,
    `mkdir -p ${place}`,
    'mkfifo "$into.pipe"',
    'sha256sum < "$into.pipe" > "$into.sum" &',
    `tee "$into.pipe" | { status=0; tar ${how} - -C ${place} || status=$?; cat > /dev/null; exit $status; }`,
    'wait',
    'read -r got _ < "$into.sum"',
    'rm -f "$into.pipe" "$into.sum"',
    'echo "digest $got"',
    `[ "$got" = ${digest} ] || exit 0`,
  ].join('\n');

const makeDirectories = [
  '(cd "$parcel/tree"; umask 022',
  `sed -n 's/^d [0-7]* /.\\//p' "$parcel/manifest" | tr '\\n' '\\0' | xargs -0 -r mkdir -p)`,
].join('\n');

/** Links that the kernel refuses (fs.protected_hardlinks, where files are another user's) become copies. */
const takeFiles = (base: ReleaseId): string =>
  [
    `(cd ${layout.release(base)}`,
    `sed -n 's/^f [0-7]* [0-9]* [0-9a-f]* /.\\//p; s/^l \\(.*\\)\t.*$/.\\/\\1/p' "$parcel/kept" | tr '\\n' '\\0' |`,
    `  xargs -0 -r sh -c 'tree=$0; cp -lP --parents "$@" "$tree" 2>/dev/null || for file; do [ -e "$tree/$file" ] || [ -L "$tree/$file" ] || cp -pP --parents "$file" "$tree"; done' "$parcel/tree")`,
  ].join('\n');

/** Written anew, so that what the store's files may do is not what the release's may. */
const copyContents = (folder: string): string =>
  [
    '(umask 022',
    `sed -n 's/^f \\([0-7]*\\) [0-9]* \\(..\\)\\([0-9a-f]*\\) /\\1 \\2\\/\\2\\3 /p' "$parcel/added" | while IFS= read -r line; do`,
    '  mode=${line%% *}; line=${line#* }',
    `  cat ${quote(folder)}/"\${line%% *}" > "$parcel/tree/\${line#* }"`,
    '  [ "$mode" = 644 ] || chmod "$mode" "$parcel/tree/${line#* }"',
    'done)',
  ].join('\n');

/** The inner ones first, and once all is there: a mode may forbid to put it in. */
const setDirectoryModes = `sed -n 's/^d \\([0-7]*\\) /\\1 .\\//p' "$parcel/manifest" | sort -r -k 2 | while read -r mode dir; do [ "$mode" = 755 ] || chmod "$mode" "$parcel/tree/$dir"; done`;

/** Kinds, modes, sizes and targets of all that is there, then the content of each file. */
const compareTree = [
  `${expectedShape('"$parcel/manifest"')} | sort > "$parcel/expected"`,
  `(cd "$parcel/tree"; ${treeShape()}) | sort > "$parcel/found"`,
  `{ comm -3 "$parcel/expected" "$parcel/found" | sed 's/^\t*/other /'`,
  `  (cd "$parcel/tree"; ${sums('"$parcel/manifest"')} | sha256sum -c 2>/dev/null || :) | sed -n 's/^\\.\\/\\(.*\\): FAILED.*$/other content of \\1/p'; } > "$parcel/other"`,
  '[ ! -s "$parcel/other" ] || { head -n 20 "$parcel/other"; exit 0; }',
].join('\n');

/**
 * Never through a link that the release itself brought: its parents must be real directories. What is on shared storage
 * is not touched: it is there, or the site is not ready.
 */
const link = (site: Pick<Site, 'deployTo' | 'shared'>, path: string, kind: 'directory' | 'file'): string => {
  const parents = path
    .split('/')
    .slice(0, -1)
    .map((_, i, parts) => parts.slice(0, i + 1).join('/'));
  const shared = `${layout.shared}/${path}`;
  const parent = parents.at(-1);
  const inside = (place: string): string => `"$into"/${quote(place)}`;
  return [
    ...parents.map(
      (dir) =>
        `[ ! -L ${inside(dir)} ] || { echo ${quote(`${dir} is a link in the release, so ${path} cannot be linked below it`)} >&2; rm -rf "$into"; exit 1; }`,
    ),
    `mkdir -p ${inside(parent ?? '.')}`,
    ...(mayHang(site, path)
      ? []
      : [words('mkdir', '-p', kind === 'directory' ? shared : `${layout.shared}/${parent ?? '.'}`)]),
    `rm -rf ${inside(path)}`,
    `ln -s ${quote(linkTarget(site, path))} ${inside(path)}`,
  ].join('\n');
};
