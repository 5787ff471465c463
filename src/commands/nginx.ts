import type { NodeCommand } from '../core/command.ts';
import { strictCommand, words } from './shell.ts';

/** One nginx on a machine. */
export interface Nginx {
  /** Absolute path of the file that sluice edits; the one that a link leads to, if it is one. */
  readonly file: string;
  /** Absolute path of the file that holds the number of the master process. */
  readonly pid: string;
  /** How nginx is called there, with those of its options that lead to its configuration. */
  readonly command: readonly string[];
  /** The user who may read and reload it; null: whoever runs commands there. */
  readonly become: string | null;
}

export interface NginxReading {
  /** The master process: its number and when it was started, in ticks since the machine was. */
  readonly master: string;
  /** The file was last written before the workers that take connections were started: what it says is so. */
  readonly isLoaded: boolean;
  /** Workers that take no connections any more, and end with their last request. */
  readonly retired: readonly string[];
  readonly connections: readonly Connections[];
  readonly digest: string;
  readonly text: string;
}

/** Connections that a worker has made to one address. */
export interface Connections {
  readonly worker: string;
  readonly address: string;
  readonly port: number;
  readonly count: number;
}

/** Exit statuses of the commands below. */
export const nginxExits = { notRunning: 69, changedMeanwhile: 75 } as const;

/** Reads the file, and from /proc what nginx makes of it; not while it is being changed. */
export const readNginx = (nginx: Nginx): NodeCommand<NginxReading> => ({
  name: 'read-nginx',
  params: { ...nginx },
  summary: `read ${nginx.file} and the processes of nginx`,
  script: asUser(nginx, [
    ...opening(nginx),
    `flock -s -w 30 9 || ${busy}`,
    // By a process that was started a moment ago, ticks are compared with the clock of files. What passes in between
    // makes workers look older, so that a file that is not loaded is not believed to be; and it should be little.
    'tries=5 ticks=$(started self)',
    'until',
    '  before=$ticks now=$(date +%s.%N) ticks=$(started self)',
    '  [ $((ticks - before)) -le 3 ] || [ "$tries" -le 1 ]',
    'do tries=$((tries - 1)); done',
    'echo "master $master $(started "$master")"',
    'echo "clock $ticks $now $(getconf CLK_TCK) $(stat -c %.9Y "$file")"',
    'workers=$(workers)',
    'for worker in $workers; do',
    '  [ -r "/proc/$worker/fd" ] || [ ! -d "/proc/$worker" ] || {',
    '    echo "$(id -un) may not see the connections of the workers of nginx" >&2',
    '    exit 1',
    '  }',
    '  echo "worker $worker $(started "$worker") $(retired "$worker")"',
    'done',
    '{',
    '  for worker in $workers; do',
    '    find "/proc/$worker/fd" -lname "socket:*" -printf "socket $worker %l\\n" 2>/dev/null || :',
    '  done',
    '  ss -Htn state listening | sed "s/^/listening /"',
    '  ss -Htne state established | sed "s/^/established /"',
    `} | awk '${outgoing}'`,
    'echo "digest $(sha256sum < "$file" | cut -d " " -f 1)"',
    'cat "$file"',
  ]),
  parse: nginxReading,
  timeoutMs: 40_000,
});

export interface NginxChange extends Nginx {
  /** What the file must still be. */
  readonly digest: string;
  /** How long the new workers may take. */
  readonly withinMs: number;
}

/**
 * Replaces the file by standard input, has nginx test and load it, and ends once every worker that ran before takes no
 * connections any more and others do. If nginx refuses, or does not load it in time, the old file is put back.
 * One at a time: the lock is on the file of the master's number. Exit status: `nginxExits`.
 */
export const changeNginx = (change: NginxChange): NodeCommand<void> => ({
  name: 'change-nginx',
  params: { ...change },
  summary: `change ${change.file} and reload nginx`,
  script: asUser(change, [
    ...opening(change),
    `flock -w 30 9 || ${busy}`,
    `[ "$(sha256sum < "$file" | cut -d ' ' -f 1)" = ${words(change.digest)} ] || exit ${nginxExits.changedMeanwhile}`,
    // Names that no include of `*` takes in.
    'next=${file%/*}/.${file##*/}.sluice-next',
    'last=${file%/*}/.${file##*/}.sluice-last',
    'kill -0 "$master"',
    'state=kept',
    'end() {',
    '  [ "$state" = kept ] || mv -f "$last" "$file"',
    // Nobody knows which of the two is loaded, until what is newer than both is.
    '  [ "$state" != told ] || { touch "$file"; sleep 0.1; kill -HUP "$master"; }',
    '  rm -f "$next" "$last"',
    '}',
    'trap end EXIT',
    `trap 'exit 1' HUP INT TERM`,
    'cp -p "$file" "$next"',
    'cat > "$next"',
    'cp -p "$file" "$last"',
    'sync "$next" "$last"',
    'state=written',
    'mv -f "$next" "$file"',
    'said=$(nginx_here -t 2>&1) || { printf "%s\\n" "$said" >&2; exit 1; }',
    'before=$(workers)',
    // A worker is younger than the file by more than clocks and ticks differ.
    'sleep 0.1',
    'state=told',
    'kill -HUP "$master"',
    `looks=${Math.ceil(change.withinMs / lookMs)}`,
    'until renewed; do',
    '  looks=$((looks - 1))',
    '  [ "$looks" -gt 0 ] || {',
    `    echo 'it passed the test of nginx, which then did not load it within ${change.withinMs} ms (its error log says why)' >&2`,
    '    exit 1',
    '  }',
    `  sleep ${lookMs / 1000}`,
    'done',
    'state=kept',
  ]),
  parse: () => undefined,
  timeoutMs: 60_000 + change.withinMs,
});

const lookMs = 20;
const busy = `{ echo 'another change of nginx has been under way for 30 s' >&2; exit 1; }`;

const asUser = ({ become }: Nginx, lines: readonly string[]): string => {
  const script = lines.join('\n');
  return become === null ? script : strictCommand(script, become);
};

/**
 * Descriptor 9 is open on the file of the master's number for the lock. A worker is a child of the master that says so:
 * helpers of the cache and new masters during an upgrade are none.
 */
const opening = ({ file, pid, command }: Nginx): readonly string[] => [
  'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin',
  `nginx_here() { ${words(...command)} "$@" 9<&-; }`,
  // Without a process for each: the machine may have better things to do.
  'started() { line=; read -r line 2>/dev/null < "/proc/$1/stat" || :; set -- $line; echo "${22:-0}"; }',
  'title() { title=; read -r title 2>/dev/null < "/proc/$1/cmdline" || :; }',
  // One that has just ended has no title.
  'retired() { title "$1"; case $title in *"is shutting down"* | "") echo yes ;; *) echo no ;; esac; }',
  'workers() {',
  '  for child in $(cat "/proc/$master/task/$master/children"); do',
  '    title "$child"; case $title in *"worker process"*) echo "$child" ;; esac',
  '  done',
  '}',
  'renewed() {',
  '  fresh=no',
  '  for worker in $(workers); do',
  '    [ "$(retired "$worker")" = no ] || continue',
  '    case " $(echo $before) " in *" $worker "*) return 1 ;; esac',
  '    fresh=yes',
  '  done',
  '  [ "$fresh" = yes ]',
  '}',
  `pid=${words(pid)}`,
  `[ -e "$pid" ] && master=$(cat "$pid") && [ -n "$master" ] && [ -d "/proc/$master" ] || { echo "nginx does not run ($pid names no process)" >&2; exit ${nginxExits.notRunning}; }`,
  'exec 9< "$pid"',
  `file=$(readlink -e ${words(file)}) || { echo ${words(`${file} is not there`)} >&2; exit 1; }`,
];

/**
 * Reads the sockets of workers, then what ss(8) says, and counts by worker and peer the established connections whose
 * local port nobody listens at: those that were made from here.
 */
const outgoing = [
  'function port(address) { sub(/.*:/, "", address); return address }',
  '$1 == "socket" { owner["ino:" substr($3, 9, length($3) - 9)] = $2 }',
  '$1 == "listening" { listens[port($4)] = 1 }',
  '$1 == "established" && !(port($4) in listens) {',
  '  for (i = 6; i <= NF; i++) if ($i in owner) count[owner[$i] " " $5] += 1',
  '}',
  'END { for (one in count) print "connections", one, count[one] }',
].join('\n');

/** Throws if it is not what `readNginx` writes. */
function nginxReading(stdout: string): NginxReading {
  const [head, text] = parted(stdout, /^digest ([0-9a-f]{64})\n/m);
  const rows = (kind: string): readonly (readonly string[])[] =>
    head.split('\n').flatMap((line) => (line.startsWith(`${kind} `) ? [line.split(' ').slice(1)] : []));
  const [[pid = '', started = ''] = []] = rows('master');
  const [[ticks, now, hertz, changed] = []] = rows('clock');
  const workers = rows('worker').map(([worker = '', began, retired]) => ({
    worker,
    beganAt: Number(now) - (Number(ticks) - Number(began)) / Number(hertz),
    isRetired: retired === 'yes',
  }));
  const current = workers.filter(({ isRetired }) => !isRetired);
  return {
    master: `${pid} ${started}`,
    isLoaded: current.length > 0 && current.every(({ beganAt }) => beganAt > Number(changed)),
    retired: workers.flatMap(({ worker, isRetired }) => (isRetired ? [worker] : [])),
    connections: rows('connections').map(([worker = '', peer = '', count]) => ({
      worker,
      ...peerOf(peer),
      count: Number(count),
    })),
    digest: /^digest (\w+)$/m.exec(stdout)![1]!,
    text,
  };
}

function parted(text: string, border: RegExp): readonly [string, string] {
  const found = border.exec(text);
  if (!found) throw new Error(`not what was read of nginx: ${JSON.stringify(text.slice(0, 60))}`);
  return [text.slice(0, found.index), text.slice(found.index + found[0].length)];
}

/** As ss(8) writes it: `127.0.0.1:8080`, `[2001:db8::1]:80`, or `[::ffff:127.0.0.1]:80`. */
function peerOf(peer: string): Pick<Connections, 'address' | 'port'> {
  const [, address = '', port] = /^\[?(?:::ffff:(?=\d+\.))?([^\]]*?)\]?:(\d+)$/.exec(peer) ?? [];
  return { address, port: Number(port) };
}
