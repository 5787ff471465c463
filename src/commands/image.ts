import type { NodeCommand } from '../core/command.ts';
import type { HeldImage } from '../core/image.ts';
import { isReleaseId, isRevision, type ReleaseId } from '../core/release.ts';
import { layout } from './layout.ts';
import { quote } from './shell.ts';
import { parseShape, treeShape } from './tree.ts';

/** Reads which image the newest whole release is that is one; null: there is none. Changes nothing. */
export const heldImage = (deployTo: string): NodeCommand<HeldImage | null> => ({
  name: 'held-image',
  params: { deployTo },
  summary: 'read which image is there',
  script: [
    `cd ${quote(deployTo)}`,
    'LC_ALL=C; export LC_ALL',
    'held=; for manifest in .sluice/images/*; do',
    '  id=${manifest##*/}',
    '  ! grep -qs "^complete" ".sluice/releases/$id" || [ ! -d "releases/$id" ] || held=$id',
    'done',
    '[ -n "$held" ] || exit 0',
    'manifest=$PWD/.sluice/images/$held expected=$PWD/.sluice/incoming/held.$$',
    'sum=$(sha256sum < "$manifest")',
    'echo "image $held ${sum%% *}"',
    'cd "releases/$held"',
    // A file of another size or mode is changed, too, and need not be read for that.
    'trap \'rm -f "$expected"\' EXIT',
    `${expectedShape('"$manifest"')} | sort > "$expected"`,
    `{ ${treeShape()}; } | sort | comm -23 "$expected" - | sed 's/^/spoilt /'`,
    `${sums('"$manifest"')} | { sha256sum -c 2>/dev/null || :; } | sed -n 's/^\\.\\/\\(.*\\): FAILED.*$/spoilt f 0 0 .\\/\\1/p'`,
  ].join('\n'),
  parse: (stdout) => {
    const [, release = '', image = ''] = /^image (\d{14}) ([0-9a-f]{64})$/m.exec(stdout) ?? [];
    if (!isReleaseId(release) || !isRevision(image)) return null;
    const shapes = [...stdout.matchAll(/^spoilt (.+)$/gm)].map((match) => parseShape(match[1]!).path);
    return { release, image, spoilt: [...new Set(shapes)].sort() };
  },
  timeoutMs: 10 * 60_000,
});

/** The manifest of the image that a release is, gzip-compressed and in base64. Changes nothing. */
export const readManifest = (deployTo: string, release: ReleaseId): NodeCommand<string> => ({
  name: 'read-manifest',
  params: { deployTo, release },
  summary: `read what release ${release} holds`,
  script: [`cd ${quote(deployTo)}`, `gzip -c ${layout.image(release)} | base64`].join('\n'),
  parse: (stdout) => stdout,
  timeoutMs: 60_000,
});

/** Turns the manifest in a file into what `treeShape` says of such a directory. `file` is quoted. */
export const expectedShape = (file: string): string =>
  `sed 's/^\\(f [0-7]* [0-9]*\\) [0-9a-f]* /\\1 .\\//; s/^\\(d [0-7]*\\) /\\1 .\\//; s/^l /l .\\//' ${file}`;

/** Turns the manifest in a file into what `sha256sum -c` reads. */
export const sums = (file: string): string =>
  `sed -n 's/^f [0-7]* [0-9]* \\([0-9a-f]*\\) /\\1  .\\//p' ${file}`;
