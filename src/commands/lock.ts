import type { NodeCommand } from '../core/command.ts';
import type { Node } from '../core/node.ts';
import type { LockState, NodeState } from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import { awaitTurn, type Fence, fenced, holdsLock, openTurn } from './fenced.ts';
import { inspectScript, parseInspection } from './inspect.ts';
import { layout, ownDirectories } from './layout.ts';
import { quote, words } from './shell.ts';

export interface Acquired {
  readonly acquired: boolean;
  /** Not acquired only because a command of an earlier run is still under way there. */
  readonly busy: boolean;
  /** The node as it is now, whoever holds its lock. */
  readonly state: NodeState;
}

/**
 * Takes the node's lock and looks at the node, in one round trip. link(2) makes the lock appear whole or not at all,
 * and fails if it is there. Taking it twice in one run is taking it once. `from` names dead runs whose lock is taken
 * over: of several that try, the first whose claim is linked gets it, and the dead run, were it alive, is fenced off. A
 * command that an earlier run left under way is waited for: nothing of it happens under the new lock.
 */
export const acquireLock = (
  node: Node,
  site: Site,
  lock: Omit<LockState, 'silentMs' | 'held'>,
  from: readonly string[],
): NodeCommand<Acquired> => {
  const { run, ...details } = lock;
  return {
    name: 'acquire-lock',
    params: { deployTo: site.deployTo, lock, from },
    summary: from.length === 0 ? 'take the lock' : `take the lock over from run ${from.join(', ')}`,
    script: [
      words('mkdir', '-p', ...ownDirectories.map((dir) => `${site.deployTo}/${dir}`)),
      `cd ${quote(site.deployTo)}`,
      // A file for each attempt: one whose connection was lost may still be waiting.
      `mine=${quote(`${layout.lock}.${run}`)}.$$`,
      `trap 'rm -f "$mine"' EXIT`,
      `${words('printf', '%s\\n', run, JSON.stringify(details))} > "$mine"`,
      openTurn,
      `turn() { ${awaitTurn(busySecondsMax)} || { echo '= busy'; return 1; }; }`,
      `reads() { holder=; read -r holder 2>/dev/null < ${layout.lock} || :; }`,
      // Whoever sees the new lock sees that its run lives; a dead run's lock is not made to look alive.
      `[ -e ${layout.lock} ] || ${beat}`,
      `ln "$mine" ${layout.lock} 2>/dev/null || ${from.length === 0 ? ':' : takeOver(run, from)}`,
      ...confirm(run),
      inspectScript(site),
    ].join('\n'),
    parse: (stdout) => {
      const state = parseInspection(node, site, stdout);
      return { acquired: state.lock?.run === run, busy: /^= busy$/m.test(stdout), state };
    },
    timeoutMs: 30_000,
  };
};

const busySecondsMax = 20;

/** Over the time that stands there, in one write: the file is never empty, also if the disk is full. */
const beat = `date +%s 1<> ${layout.heartbeat}`;

/**
 * The claim is a link named for the dead run, so that only one run can ever take its lock over. While it waited for its
 * turn another may have done so, and have given the lock back.
 */
const takeOver = (run: string, from: readonly string[]): string =>
  [
    '{',
    `  dead() { reads; case "$holder" in (${from.map(quote).join('|')}) ;; (*) return 1 ;; esac; }`,
    `  if dead && turn && dead; then`,
    `    ln "$mine" ${layout.claim('"$holder"')} 2>/dev/null || :`,
    `    claimant=; read -r claimant 2>/dev/null < ${layout.claim('"$holder"')} || :`,
    `    [ "$claimant" != ${quote(run)} ] || { ${beat}; mv -f "$mine" ${layout.lock}; }`,
    '  fi',
    '}',
  ].join('\n');

/**
 * Keeps the lock if nothing of an earlier run is under way. It is this attempt's own then, so that an earlier one of the
 * run, which has waited for too long, gives nothing back.
 */
const confirm = (run: string): readonly string[] => {
  const holds = `reads; if [ "$holder" = ${quote(run)} ]; then`;
  const isOwn = `[ "$mine" -ef ${layout.lock} ]`;
  return [
    holds,
    `  if turn; then ${holds} ${beat}; ${isOwn} || [ ! -e "$mine" ] || mv -f "$mine" ${layout.lock}; fi`,
    `  elif ${isOwn}; then rm -f ${layout.lock}; fi`,
    'fi',
  ];
};

/** Shows that the run lives. */
export const renewLock = (fence: Fence): NodeCommand<void> => ({
  name: 'renew-lock',
  params: { ...fence },
  summary: 'renew the lock',
  script: fenced(fence, beat),
  parse: () => undefined,
  timeoutMs: 30_000,
});

export interface Ending {
  /** For `revisions.log`, as Capistrano writes it; null for a run that changed no live release. */
  readonly logLine: string | null;
  /** One line of JSON for `sluice history`; null for a run that changed nothing. */
  readonly historyLine: string | null;
}

/** Writes the run's end into the logs, and gives the lock back. Frees nothing that another run holds. */
export const releaseLock = (fence: Fence, { logLine, historyLine }: Ending): NodeCommand<void> => ({
  name: 'release-lock',
  params: { ...fence, logLine, historyLine },
  summary: 'write the log and give the lock back',
  // No lock at all: this was done before, and the reply was lost.
  script: `[ -e ${quote(`${fence.deployTo}/${layout.lock}`)} ] || exit 0\n${fenced(
    fence,
    [
      ...(logLine === null ? [] : [`${words('printf', '%s\\n', logLine)} >> ${layout.revisionsLog}`]),
      ...(historyLine === null ? [] : [`${words('printf', '%s\\n', historyLine)} >> ${layout.history}`]),
      pruneJournals,
      // The directory itself stays: another run may just be making sure of it.
      // Something that was cut off may still be writing there: that must not keep the lock.
      'rm -rf .sluice/incoming/* || :',
      // It took a while: the lock may be another's by now.
      holdsLock(fence.run),
      `rm -f ${layout.claim('*')} ${layout.held} ${layout.lock}`,
    ].join('\n'),
  )}`,
  parse: () => undefined,
  timeoutMs: 30_000,
});

const journalsKept = 20;
/** Run ids begin with their time, so the shell's own order of names is the order of runs. */
const pruneJournals = [
  'set -- .sluice/journal/*',
  `while [ $# -gt ${journalsKept} ]; do rm -f "$1"; shift; done`,
].join('\n');

/** Takes the lock away from whoever holds it, and records who did so and why. */
export const breakLock = (deployTo: string, run: string, historyLine: string): NodeCommand<boolean> => ({
  name: 'break-lock',
  params: { deployTo, run, historyLine },
  summary: `break the lock of run ${run}`,
  script: [
    `cd ${quote(deployTo)}`,
    `holder=; read -r holder 2>/dev/null < ${layout.lock} || :`,
    `[ "$holder" = ${quote(run)} ] || exit 0`,
    `${words('printf', '%s\\n', historyLine)} >> ${layout.history}`,
    `rm -f ${layout.claim('*')} ${layout.held} ${layout.lock}`,
    'echo "= broken"',
  ].join('\n'),
  parse: (stdout) => /^= broken$/m.test(stdout),
  timeoutMs: 30_000,
});
