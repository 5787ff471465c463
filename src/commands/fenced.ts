import type { ReleaseId } from '../core/release.ts';
import { layout } from './layout.ts';
import { quote, words } from './shell.ts';

/** Under which lock a command changes a node, and what is written down in the same round trip. */
export interface Fence {
  readonly deployTo: string;
  /** The run that must hold this node's lock. */
  readonly run: string;
  /** Marks for the records of releases, written before the work. */
  readonly marks: readonly Mark[];
  /** Journal lines, each one JSON, written before the work. */
  readonly before: readonly string[];
  /** Journal lines written once the work is done. */
  readonly after: readonly string[];
}

/** What checks showed of a release on this node; or what was done elsewhere, and every node must know. */
export type Mark =
  | { readonly release: ReleaseId; readonly mark: 'checked' | 'failed' }
  | { readonly release: ReleaseId; readonly mark: 'irreversible' }
  | { readonly release: ReleaseId; readonly mark: 'once'; readonly hook: string };

/** The exit status and the word on stderr of a command that found another run's lock, or none. */
export const fencedStatus = 75;

/**
 * `script` in `deployTo`, in one round trip with the lock's check and the journal: nothing changes unless the
 * node's lock names `run` (fencing), so a run that lost its lock can do no more harm.
 */
export const fenced = (fence: Fence, script: string): string =>
  [`cd ${quote(fence.deployTo)}`, guarded(fence, script)].join('\n');

/**
 * The same for work that must not be under way twice on a node. A command whose connection was lost goes on there: it
 * is waited for, be it this run's or that of a run whose lock was taken over.
 */
export const fencedAlone = (fence: Fence, script: string): string =>
  [`cd ${quote(fence.deployTo)}`, takeTurn(fence.run), guarded(fence, script)].join('\n');

/**
 * The same for work of which only the last attempt counts: one that still waits for its turn when the next one comes,
 * for the connection of the first was lost, does nothing.
 */
export const fencedLatest = (fence: Fence, script: string): string =>
  [
    `cd ${quote(fence.deployTo)}`,
    holdsLock(fence.run),
    `echo $$ > ${layout.latest}`,
    takeTurn(fence.run),
    `read -r latest < ${layout.latest}`,
    `[ "$latest" = $$ ] || { echo 'a later attempt does it' >&2; exit 1; }`,
    guarded(fence, script),
  ].join('\n');

/** From here on the script is alone on the node, and holds the lock. Its children must not inherit that (`letGo`). */
export const takeTurn = (run: string): string =>
  [
    holdsLock(run),
    openTurn,
    `${awaitTurn(600)} || { echo 'the node is busy' >&2; exit 1; }`,
    holdsLock(run),
  ].join('\n');

export const openTurn = `exec 9> ${layout.busy}`;

/**
 * Succeeds once no other command holds the node. That is a lock of the kernel's, so it ends with the command, however
 * that ends. flock of busybox knows no timeout: it is tried once a second.
 */
export const awaitTurn = (secondsMax: number): string =>
  `{ tries=${secondsMax}; until flock -n 9; do [ $tries -gt 0 ] || break; tries=$((tries - 1)); sleep 1; done; [ $tries -gt 0 ]; }`;

/** Redirects a user's command, so that a server that it starts does not hold the node for ever. */
export const letGo = '9>&-';

const guarded = ({ run, marks, before, after }: Fence, script: string): string =>
  [holdsLock(run), ...marks.map(markScript), ...journal(run, before), script, ...journal(run, after)].join(
    '\n',
  );

function markScript(mark: Mark): string {
  switch (mark.mark) {
    case 'once':
      return `: > ${layout.once(mark.release, mark.hook)}.done`;
    case 'irreversible':
      return `echo ${mark.release} >> ${layout.irreversible}`;
    case 'checked':
    case 'failed':
      return markRelease(mark.release, mark.mark);
  }
}

/** Ends the script unless the node's lock names `run`. */
export const holdsLock = (run: string): string =>
  [
    `holder=; read -r holder 2>/dev/null < ${layout.lock} || :`,
    `[ "$holder" = ${quote(run)} ] || { echo fenced >&2; exit ${fencedStatus}; }`,
  ].join('\n');

/** A release of another tool has no record: it counts as good by that tool's log, and stays without one. */
export const markRelease = (release: ReleaseId, mark: string): string =>
  `[ ! -e ${layout.record(release)} ] || echo "${mark} $(date +%s)" >> ${layout.record(release)}`;

const journal = (run: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : [`${words('printf', '%s\\n', ...lines)} >> ${quote(layout.journal(run))}`];
