import type { NodeCommand } from '../core/command.ts';
import { mayHaveCron } from '../core/cron.ts';
import { isPlainObject } from '../core/field.ts';
import { parseIntent } from '../core/intent.ts';
import type { Node } from '../core/node.ts';
import {
  type Current,
  type Held,
  type LockState,
  type MaintenanceState,
  type NodeState,
  noCron,
  type OnceMark,
  type ReleaseState,
} from '../core/observation.ts';
import { isReleaseId, isRevision, type ReleaseId } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { mayHang } from '../core/storage.ts';
import { cronKeys, cronLook, cronState } from './cron.ts';
import { layout } from './layout.ts';
import { runMark } from './maintenance.ts';
import { quote } from './shell.ts';

type Place = Pick<Site, 'deployTo' | 'linkedDirs' | 'linkedFiles' | 'shared' | 'cron' | 'nodes'>;

/**
 * Reads everything that sluice wants to know of a node, in one round trip, and changes nothing. It touches no shared
 * storage, where it could hang: `lookAtStorage` does.
 */
export const inspect = (node: Node, place: Place): NodeCommand<NodeState> => ({
  name: 'inspect',
  params: { deployTo: place.deployTo, linkedDirs: place.linkedDirs, linkedFiles: place.linkedFiles },
  summary: `read the state of ${place.deployTo}`,
  get script() {
    return inspectScript(place);
  },
  parse: (stdout) => parseInspection(node, place, stdout),
  timeoutMs: 30_000,
});

/** The script alone, for commands that end with a fresh look. Every line it writes begins with `= `. */
export function inspectScript({ deployTo, shared, ...links }: Place): string {
  const isLocal = (path: string): boolean => !mayHang({ deployTo, shared }, path);
  const linkedDirs = links.linkedDirs.filter(isLocal);
  const linkedFiles = links.linkedFiles.filter(isLocal);
  const own = ['.', 'releases', ...(isLocal('.') ? ['shared'] : []), '.sluice'];
  return [
    'say() { printf "= %s\\n" "$*"; }',
    'say now "$(date +%s)"',
    `for tool in ${tools.join(' ')}; do command -v "$tool" >/dev/null 2>&1 || say lacks "$tool"; done`,
    `if cd ${quote(deployTo)} 2>/dev/null; then`,
    'say root',
    `for dir in ${own.join(' ')} .sluice/*/; do [ ! -d "$dir" ] || [ -w "$dir" ] || say readonly "$dir"; done`,
    // Below, a file that cannot be opened is one that is gone.
    `said=$(LC_ALL=C cat .sluice/releases/* ${layout.lock} ${layout.heartbeat} ${layout.held} ${layout.drained} 2>&1 >/dev/null || :)`,
    'case $said in (*[Dd]enied*) echo "$said" | grep -i denied >&2; exit 1 ;; esac',
    `if [ -L ${layout.current} ]; then say current "$(readlink ${layout.current})"`,
    `elif [ -e ${layout.current} ]; then say blocked; fi`,
    `for dir in ${layout.releases}/*/; do`,
    '  id=${dir#releases/}; id=${id%/}',
    '  case $id in ([0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) ;; (*) continue ;; esac',
    '  say release "$id"',
    '  revision=; read -r revision 2>/dev/null < "$dir/REVISION" || :; say revision "$id" "$revision"',
    // What is there now may be gone before it is opened, for other runs go on.
    '  while read -r mark at rest; do say mark "$id" "$mark"; [ "$mark" != backup ] || say backup "$id" "$rest"; done 2>/dev/null < ".sluice/releases/$id" || :',
    'done',
    `[ ! -f ${layout.revisionsLog} ] || sed -n 's/.* deployed as release \\([0-9]\\{14\\}\\) by .*/= logged \\1/p; s/.* rolled back to release \\([0-9]\\{14\\}\\).*/= logged \\1/p' ${layout.revisionsLog}`,
    'for mark in .sluice/once/*; do [ ! -e "$mark" ] || say once "${mark#.sluice/once/}"; done',
    `[ ! -f ${layout.irreversible} ] || while read -r id; do say irreversible "$id"; done < ${layout.irreversible}`,
    `if since=$(date -u -r ${layout.maintenance} +%Y-%m-%dT%H:%M:%SZ 2>/dev/null); then by=; read -r by 2>/dev/null < ${layout.maintenance} || :; say maintenance "$since $by"; fi`,
    `while read -r server; do say drained "$server"; done 2>/dev/null < ${layout.drained} || :`,
    cronLook({ deployTo, cron: links.cron }),
    `if ${readTwo(layout.lock)}; then`,
    `  beat=0; read -r beat 2>/dev/null < ${layout.heartbeat} || :`,
    '  say lock "$first" "$beat" "$second"',
    `  if ${readTwo(layout.held)}; then say held "$first" "$second"; fi`,
    'fi',
    ...linkedFiles.map((path) => `[ -f ${quote(`${layout.shared}/${path}`)} ] || say missing ${quote(path)}`),
    ...linkedDirs.map((path) => lostFiles(deployTo, path)),
    'else',
    `  parent=${quote(deployTo)}; while [ ! -d "$parent" ]; do parent=$(dirname "$parent"); done`,
    '  [ -w "$parent" ] || say noparent "$parent"',
    ...linkedFiles.map((path) => `say missing ${quote(path)}`),
    'fi',
    'say end',
  ].join('\n');
}

/** Succeeds if the file is there, whatever is in it. */
const readTwo = (file: string): string =>
  `first= second=; { read -r first || :; read -r second || :; } 2>/dev/null < ${file}`;

/** Counts the files of a real directory of the live release that `shared/` lacks: linking it would lose them. */
function lostFiles(deployTo: string, path: string): string {
  const dir = quote(`${layout.current}/${path}`);
  const shared = quote(`${deployTo}/${layout.shared}/${path}`);
  return [
    `if [ ! -L ${dir} ] && [ -d ${dir} ]; then`,
    `  lost=$(cd ${dir} && find . -type f | while IFS= read -r file; do [ -e ${shared}/"$file" ] || echo x; done | wc -l)`,
    `  [ "$lost" -eq 0 ] || say unlinked ${quote(path)} "$lost"`,
    'fi',
  ].join('\n');
}

/** What sluice runs on a node besides the shell itself: all of it in coreutils, util-linux or busybox. */
const tools = [
  'tar',
  'gzip',
  'sha256sum',
  'mkfifo',
  'tee',
  'mv',
  'ln',
  'readlink',
  'date',
  'grep',
  'sed',
  'find',
  'stat',
  'sort',
  'comm',
  'xargs',
  'flock',
];

/** What the script said, by the first word of each line. */
type Said = ReadonlyMap<string, readonly string[]>;

/** Throws if the text is not what the script writes to its end. */
export function parseInspection(node: Node, place: Place, stdout: string): NodeState {
  const said = saidIn(stdout);
  if (said === null) throw new Error(`the inspection of ${node.name} ended early`);
  const all = (key: string): readonly string[] => said.get(key) ?? [];
  const current = currentOf(place.deployTo, all('current')[0], all('blocked').length > 0);
  const releases = releasesOf(said, current);
  const live = current.kind === 'release' ? current.id : null;
  return {
    name: node.name,
    pool: node.pool,
    unreachable: null,
    current,
    releases,
    proved: live !== null && provedBy(said, live) ? live : null,
    drained: all('drained'),
    lock: lockOf(all('lock')[0], all('held')[0], Number(all('now')[0])),
    once: onceMarksOf(all('once')),
    cron: cronState(
      place,
      Object.fromEntries(cronKeys.map((key) => [key, all(key)])) as Parameters<typeof cronState>[1],
    ),
    irreversible: [...new Set(all('irreversible'))].filter(isReleaseId).sort(),
    maintenance: maintenanceOf(all('maintenance')[0]),
    problems: problemsOf(node, place, said, current),
  };
}

/** Null unless the last thing that it said is that it is at its end. */
function saidIn(stdout: string): Said | null {
  const said = new Map<string, string[]>();
  let last = '';
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('= ')) continue;
    const space = line.indexOf(' ', 2);
    last = space < 0 ? line.slice(2) : line.slice(2, space);
    const rest = space < 0 ? '' : line.slice(space + 1);
    const before = said.get(last);
    if (before) before.push(rest);
    else said.set(last, [rest]);
  }
  return last === 'end' ? said : null;
}

function currentOf(deployTo: string, target: string | undefined, blocked: boolean): Current {
  if (blocked) return { kind: 'blocked' };
  if (target === undefined) return { kind: 'absent' };
  const id = target
    .replace(`${deployTo}/`, '')
    .replace(/^(\.\/)?releases\//, '')
    .replace(/\/$/, '');
  return isReleaseId(id) ? { kind: 'release', id } : { kind: 'elsewhere', target };
}

/**
 * A release that sluice made is good by its own record; one that another tool made, if that tool's log says it
 * was live or if it is live now.
 */
function releasesOf(said: Said, current: Current): readonly ReleaseState[] {
  const logged = said.get('logged') ?? [];
  return (said.get('release') ?? [])
    .filter(isReleaseId)
    .sort()
    .map((id): ReleaseState => {
      const marks = marksOf(said, id);
      const revision = second(said, 'revision', id)[0] ?? '';
      const adopted =
        marks.length === 0 && (logged.includes(id) || (current.kind === 'release' && current.id === id));
      return {
        id,
        revision: isRevision(revision) ? revision : null,
        complete: adopted || marks.includes('complete'),
        checked: adopted || marks.includes('checked'),
        failed: marks.lastIndexOf('failed') > marks.lastIndexOf('checked'),
        backup: second(said, 'backup', id).at(-1) ?? null,
      };
    });
}

/** Proved: it answered its checks after it was last made live. */
function provedBy(said: Said, live: ReleaseId): boolean {
  const marks = marksOf(said, live);
  return (
    marks.lastIndexOf('checked') >= marks.lastIndexOf('live') &&
    marks.lastIndexOf('failed') <= marks.lastIndexOf('checked')
  );
}

const marksOf = (said: Said, id: ReleaseId): readonly string[] => second(said, 'mark', id);

/** The rest of each line of `key` whose first word is `id`. */
const second = (said: Said, key: string, id: ReleaseId): readonly string[] =>
  (said.get(key) ?? []).filter((rest) => rest.startsWith(`${id} `)).map((rest) => rest.slice(id.length + 1));

/** Since when, and what the file says. */
function maintenanceOf(said: string | undefined): MaintenanceState | null {
  if (said === undefined) return null;
  const [since = '', ...rest] = said.split(' ');
  const text = rest.join(' ').trim();
  return text === runMark ? { by: 'run', since, text: '' } : { by: 'operator', since, text };
}

/** The file names of `layout.once`; a hook that is done has both marks. */
function onceMarksOf(names: readonly string[]): readonly OnceMark[] {
  const marks = names.flatMap((name): readonly OnceMark[] => {
    const [, release = '', hook = '', state = ''] = /^(\d{14})\.(.*)\.(begun|done)$/.exec(name) ?? [];
    if (!isReleaseId(release)) return [];
    return [{ release, hook: decoded(hook), state: state === 'done' ? 'done' : 'begun' }];
  });
  return marks.filter(
    ({ release, hook, state }) =>
      state === 'done' ||
      !marks.some((other) => other.state === 'done' && other.release === release && other.hook === hook),
  );
}

/** A stray file name is no reason to stop. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function lockOf(
  line: string | undefined,
  heldLine: string | undefined,
  nowSeconds: number,
): LockState | null {
  if (line === undefined) return null;
  const [run = '', beat = '0', ...details] = line.split(' ');
  const known = parseDetails(details.join(' '));
  const silentMs = Math.max(0, nowSeconds - Number(beat)) * 1000;
  return { run, ...known, silentMs, held: heldOf(run, heldLine) };
}

/** What another run left there says nothing of this one. */
function heldOf(run: string, line = ''): Held | null {
  const [by, ...details] = line.split(' ');
  if (by !== run) return null;
  const unknown = { since: 'an unknown time', why: 'nobody knows for what', hold: null };
  try {
    const value: unknown = JSON.parse(details.join(' '));
    if (!isPlainObject(value)) return unknown;
    const { since, why, hold } = value;
    return {
      since: typeof since === 'string' ? since : unknown.since,
      why: typeof why === 'string' ? why : unknown.why,
      hold: typeof hold === 'string' ? hold : null,
    };
  } catch {
    return unknown;
  }
}

function parseDetails(json: string): Omit<LockState, 'run' | 'silentMs' | 'held'> {
  const unknown = {
    holder: 'somebody',
    host: 'an unknown host',
    reason: 'unknown',
    startedAt: 'an unknown time',
  };
  try {
    const value: unknown = JSON.parse(json);
    if (!isPlainObject(value)) return { ...unknown, intent: null };
    const texts = Object.entries(value).filter(([key, text]) => key in unknown && typeof text === 'string');
    return { ...unknown, ...Object.fromEntries(texts), intent: parseIntent(value.intent) };
  } catch {
    return { ...unknown, intent: null };
  }
}

const join = (deployTo: string, dir: string): string =>
  dir === '.' ? deployTo : `${deployTo}/${dir.replace(/\/$/, '')}`;

function problemsOf(node: Node, place: Place, said: Said, current: Current): readonly string[] {
  const { deployTo } = place;
  const sentences: { readonly [key: string]: (rest: string) => string } = {
    lacks: (tool) => `${node.name} lacks ${tool}, which sluice runs there.`,
    readonly: (dir) =>
      `${node.name}: ${join(deployTo, dir)} is not writable for the login user (set become, or let a group own it).`,
    noparent: (parent) =>
      `${node.name}: ${deployTo} cannot be made, ${parent} is not writable for the login user.`,
    missing: (path) => `${node.name}: linked file ${deployTo}/shared/${path} is missing; put it there first.`,
    unlinked: (rest) => {
      const [path, files] = rest.split(/ (?=\d+$)/);
      return `${node.name}: linkedDirs names ${path}, but ${deployTo}/current/${path} is a real directory with ${files} file(s) that ${deployTo}/shared/${path} lacks: they would vanish from the site. Copy them there first.`;
    },
    blocked: () =>
      `${node.name}: ${deployTo}/current is a real file or directory, not a link; move it away, sluice never replaces it.`,
  };
  const found = Object.entries(sentences).flatMap(([key, sentence]) => (said.get(key) ?? []).map(sentence));
  const elsewhere =
    current.kind === 'elsewhere'
      ? [
          `${node.name}: ${deployTo}/current points to ${current.target}, which is not a release of ${deployTo}/releases.`,
        ]
      : [];
  const cronless =
    mayHaveCron(place, node.name) && said.has('nocron')
      ? [
          `${node.name} may have the cron of the site, and has no ${place.cron?.keptIn} to keep it in (install that there).`,
        ]
      : [];
  return [...found, ...elsewhere, ...cronless];
}

/** What is said of a node that could not be read. */
export const unreadable = (node: Node, reason: string): NodeState => ({
  name: node.name,
  pool: node.pool,
  unreachable: reason,
  current: { kind: 'absent' },
  releases: [],
  proved: null,
  drained: [],
  lock: null,
  once: [],
  cron: noCron,
  irreversible: [],
  maintenance: null,
  problems: [],
});
