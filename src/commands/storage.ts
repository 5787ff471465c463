import type { NodeCommand } from '../core/command.ts';
import type { Node } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import {
  compareLimitSeconds,
  linkTarget,
  type Mount,
  mayHang,
  type NodeStorage,
  type Place,
  storageDirs,
  storageLimitSeconds,
} from '../core/storage.ts';
import { layout } from './layout.ts';
import { quote } from './shell.ts';
import { within } from './within.ts';

/** Looks at the shared storage of a node, within time limits, and changes nothing. */
export const lookAtStorage = (node: Node, site: Site): NodeCommand<NodeStorage> => {
  const { deployTo } = site;
  const dirs = storageDirs(site);
  const targets = dirs.map((dir) => linkTarget(site, dir));
  const files = site.linkedFiles.filter((path) => mayHang(site, path));
  return {
    name: 'look-at-storage',
    params: { deployTo, dirs, targets, files },
    summary: 'look at the shared storage',
    script: [
      say,
      within(
        { seconds: storageLimitSeconds, name: `look ${deployTo}` },
        [
          lookFunction,
          ...targets.map((target, i) => `look ${i} ${quote(target)}`),
          ...files.map((path, i) => `[ -f ${quote(linkTarget(site, path))} ] || say missing ${i}`),
          'say looked',
        ].join('\n'),
      ),
      // Read after the look, which may have made an automounter mount; reading it never hangs.
      "sed 's/^/= mount /' /proc/mounts",
      'if [ -z "$late" ]; then',
      within(
        { seconds: compareLimitSeconds, name: `compare ${deployTo}` },
        [
          lostFunction,
          ...targets.map((target, i) =>
            mayHang(site, dirs[i]!)
              ? `lost ${i} ${quote(`${deployTo}/${layout.current}/${dirs[i]}`)} ${quote(target)}`
              : `say lost ${i} 0`,
          ),
        ].join('\n'),
      ),
      'fi',
      'say end',
    ].join('\n'),
    parse: (stdout) => parseStorage(node, { deployTo, dirs, targets, files }, stdout),
    timeoutMs: (storageLimitSeconds + compareLimitSeconds + 20) * 1000,
  };
};

const say = 'say() { printf "= %s\\n" "$*"; }';

/** Of a directory that is absent, what is there of the path above it says on which mount it would be. */
const lookFunction = `look() {
  at=$2
  until [ -d "$at" ]; do at=\${at%/*}; at=\${at:-/}; done
  say at "$1" "$(cd -P "$at" 2>/dev/null && pwd -P || echo "$at")"
  if [ "$at" = "$2" ]; then
    [ -w "$at" ] && [ -x "$at" ] && say writable "$1"
    df -P -k "$at" | { read -r _; read -r _ total _ free _; say space "$1" "$total" "$free"; }
    say there "$1"
  else say absent "$1" "$(ls -d "$2/." 2>&1)"; fi
}`;

/** Counts the files behind the name in the live release that the storage lacks, unless it is the storage already. */
const lostFunction = `lost() {
  from=$(cd -P "$2" 2>/dev/null && pwd -P) || from=
  to=$(cd -P "$3" 2>/dev/null && pwd -P) || to=$3
  if [ -z "$from" ] || [ "$from" = "$to" ]; then say lost "$1" 0; return; fi
  say lost "$1" $(cd "$from" && find . -type f | while IFS= read -r file; do [ -e "$to/$file" ] || echo x; done | wc -l)
}`;

interface Looked {
  readonly deployTo: string;
  readonly dirs: readonly string[];
  readonly targets: readonly string[];
  readonly files: readonly string[];
}

function parseStorage(node: Node, { deployTo, dirs, targets, files }: Looked, stdout: string): NodeStorage {
  const lines = stdout.split('\n').flatMap((line) => (line.startsWith('= ') ? [line.slice(2)] : []));
  if (lines.at(-1) !== 'end') throw new Error(`the look at the storage of ${node.name} ended early`);
  const after = (start: string): string | null =>
    lines.find((line) => line === start || line.startsWith(`${start} `))?.slice(start.length + 1) ?? null;
  const mounts = lines.filter((line) => line.startsWith('mount ')).map(mountOf);
  const places = dirs.map((dir, i): Place => {
    const path = targets[i]!;
    const isThere = after(`there ${i}`) !== null;
    const reason = after(`absent ${i}`);
    const at = after(`at ${i}`) ?? path;
    const lost = after(`lost ${i}`);
    return {
      dir,
      path,
      state: isThere ? 'there' : reason === null ? 'silent' : 'absent',
      reason: (reason ?? '').replace(/^.*: /, ''),
      // What is absent may be below a mount that cannot be read.
      mount: deepest(mounts, isThere ? [at] : [at, path]),
      isWritable: after(`writable ${i}`) !== null,
      freeKiB: freeOf(after(`space ${i}`)),
      lostFiles: lost === null ? null : Number(lost),
    };
  });
  // Once one is silent, those behind it were not asked; the first is the one to name.
  return {
    node: node.name,
    places,
    missingFiles: after('looked') === null ? [] : files.filter((_, i) => after(`missing ${i}`) !== null),
    code: deepest(mounts, [deployTo]),
  };
}

/** A line of /proc/mounts, where a space is written as \\040 (fstab(5)). */
function mountOf(line: string): Mount {
  const [, source = '', target = '', type = ''] = line
    .split(' ')
    .map((word) =>
      word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
  return { source, target, type };
}

/** The mount that holds the first path, or one that holds another and lies deeper. The last of several at one place covers the rest. */
function deepest(mounts: readonly Mount[], paths: readonly string[]): Mount {
  const holding = mounts.filter(({ target }) =>
    paths.some((path) => `${path}/`.startsWith(target === '/' ? '/' : `${target}/`)),
  );
  return holding.reduce((best, mount) => (mount.target.length >= best.target.length ? mount : best), nowhere);
}
const nowhere: Mount = { source: 'an unknown device', target: '/', type: 'an unknown file system' };

/** Some file systems of FUSE say that all of their space is 0. */
function freeOf(space: string | null): number | null {
  const [total = 0, free = 0] = (space ?? '').split(' ').map(Number);
  return total > 0 ? free : null;
}

/** Whether the marker was written, seen or erased; else why not. */
export type Marked = readonly { readonly dir: string; readonly failure: string | null }[];

/** Writes a marker into each directory of the storage, sees whether it is there, or erases it. What is absent is made first. */
export const markStorage = (
  site: Site,
  dirs: readonly string[],
  { act, marker }: { readonly act: 'write' | 'see' | 'erase'; readonly marker: string },
): NodeCommand<Marked> => ({
  name: 'mark-storage',
  params: { deployTo: site.deployTo, dirs, act, marker },
  summary: `${act} a marker on the shared storage`,
  script: [
    say,
    within(
      { seconds: storageLimitSeconds, name: `mark ${site.deployTo}` },
      dirs
        .map((dir, i) => {
          const target = linkTarget(site, dir);
          const file = quote(`${target}/.sluice-check-${marker}`);
          const acts = {
            write: `mkdir -p ${quote(target)} && : > ${file}`,
            // Some clients look anew only after a while.
            see: `for time in 1 2 3; do [ ! -e ${file} ] || break; sleep 1; done; [ -e ${file} ]`,
            erase: `rm -f ${file}`,
          };
          return `if reason=$( { ${acts[act]}; } 2>&1 ); then say done ${i}; else say failed ${i} "$reason"; fi`;
        })
        .join('\n'),
    ),
  ].join('\n'),
  parse: (stdout) =>
    dirs.map((dir, i) => {
      const failed = new RegExp(`^= failed ${i} (.*)$`, 'm').exec(stdout)?.[1];
      const isDone = new RegExp(`^= done ${i}$`, 'm').test(stdout);
      const late = `it took longer than ${storageLimitSeconds} s`;
      return { dir, failure: isDone ? null : (failed ?? late).replace(/^.*: /, '') };
    }),
  timeoutMs: (storageLimitSeconds + 20) * 1000,
});
