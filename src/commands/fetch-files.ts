import type { NodeCommand } from '../core/command.ts';
import type { ReleaseId } from '../core/release.ts';
import { type Fence, fenced } from './fenced.ts';
import { layout } from './layout.ts';

/** A file whose content was not what its name says, and what it was. */
export interface Misfetched {
  readonly expected: string;
  readonly got: string;
}

/**
 * Lets the node fetch the content of files, gzip-compressed, as the configuration of curl on standard input says: each is written
 * to `<digest>.gz`. They appear below `layout.fetched` once they are what their names say; null if all are. The URLs are
 * secret: they stand on no command line, and curl's words are shown without them.
 */
export const fetchFiles = (fence: Fence, release: ReleaseId): NodeCommand<Misfetched | null> => ({
  name: 'fetch-files',
  params: { ...fence, release },
  summary: `fetch files of release ${release}`,
  script: fenced(
    fence,
    [
      "command -v curl > /dev/null || { echo 'this node has no curl to fetch files with' >&2; exit 1; }",
      `files=$PWD/${layout.fetched(release)} into=$PWD/${layout.fetched(release)}.$$`,
      'trap \'rm -rf "$into" "$into.said"\' EXIT',
      'mkdir -p "$files" "$into"',
      '(cd "$into"',
      // Since curl 7.66; one after the other over one connection before that.
      'many=; curl --parallel --version > /dev/null 2>&1 && many="--parallel --parallel-max 32"',
      `curl --disable $many ${curlOptions} --config - 2> "$into.said" || { sed 's/?[^ ]*//g' "$into.said" >&2; exit 1; }`,
      "find . -name '*.gz' -exec gzip -d {} + 2> /dev/null || :",
      'find . -type f -exec sha256sum {} + | while read -r digest name; do',
      '  [ "$name" = "./$digest" ] || { name=${name#./}; echo "other ${name%.gz} $digest"; continue; }',
      '  rest=${digest#??}; two=${digest%"$rest"}',
      '  [ -d "$files/$two" ] || mkdir "$files/$two"',
      '  mv -f "$digest" "$files/$two/$digest"',
      'done)',
    ].join('\n'),
  ),
  parse: (stdout) => {
    const [, expected, got] = /^other ([0-9a-f]{64}) ([0-9a-f]{64})$/m.exec(stdout) ?? [];
    return expected !== undefined && got !== undefined ? { expected, got } : null;
  },
  timeoutMs: 30 * 60_000,
});

const curlOptions = '--silent --show-error --fail --globoff --retry 3 --connect-timeout 20';
