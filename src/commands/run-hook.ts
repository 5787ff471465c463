import type { CommandLine, NodeCommand } from '../core/command.ts';
import type { Duty, HookPoint, Workers } from '../core/hook.ts';
import type { Release, ReleaseId } from '../core/release.ts';
import { type Fence, fencedAlone, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { userCommand, words } from './shell.ts';
import { restartWorkers } from './workers.ts';

export interface HookRun {
  readonly hook: string;
  readonly point: HookPoint;
  readonly command: CommandLine;
  readonly once: boolean;
  /** The release under whose name work that runs once leaves its marks. */
  readonly onceAs: ReleaseId;
  readonly release: Release;
  readonly timeoutMs: number;
  readonly duty?: Duty;
  readonly closesWayBack?: boolean | CommandLine;
  readonly workers?: Workers;
}

export interface HookResult {
  /** `unknown`: an earlier attempt began it, and nobody knows how that ended; it was not run again. */
  readonly state: 'done' | 'unknown';
  /** Whether the way back to releases before is closed from now on. */
  readonly isIrreversible: boolean;
  /** The backup that was made, as a path or a name. */
  readonly backup: string | null;
  readonly output: string;
}

/**
 * Runs a hook's command in the release that the run brings (or in `deployTo` where it is not there yet). One
 * that is marked once leaves `begun` and `done` marks under the release's name, so that it is never run twice. That the way
 * back is closed is written down before the command begins: how far one came that was cut off, nobody knows.
 */
export const runHook = (fence: Fence, run: HookRun): NodeCommand<HookResult> => {
  const { timeoutMs, ...params } = run;
  return {
    name: 'run-hook',
    params: { ...fence, ...params },
    summary: `hook ${run.hook}`,
    script: fencedAlone(fence, run.once ? onceScript(fence, run) : plainScript(fence, run)),
    parse: (stdout) => ({
      state: run.once && /^= cut off$/m.test(stdout) ? 'unknown' : 'done',
      isIrreversible: run.once && /^= irreversible$/m.test(stdout),
      backup: run.duty === 'backup' ? (/^= backup (.+)$/m.exec(stdout)?.[1] ?? null) : null,
      output: run.duty ? stdout.replaceAll(/^= .*\n/gm, '') : stdout,
    }),
    timeoutMs,
  };
};

const plainScript = ({ deployTo }: Fence, run: HookRun): string =>
  run.workers ? around(run, restartWorkers(deployTo, run.workers)) : inRelease(run, run.command);

/** `more` stands before the command, in its subshell. */
const inRelease = (run: HookRun, command: CommandLine, ...more: readonly string[]): string =>
  around(run, ...more, `${userCommand(command)} < /dev/null`);

const around = ({ point, release }: HookRun, ...script: readonly string[]): string =>
  [
    `( if [ -d ${layout.release(release.id)} ]; then cd ${layout.release(release.id)} || exit; fi`,
    `${words('export', `SLUICE_RELEASE=${release.id}`, `SLUICE_REVISION=${release.revision}`, `SLUICE_HOOK=${point}`)}`,
    ...script,
    `) 2>&1 ${letGo}`,
  ].join('\n');

function onceScript(fence: Fence, run: HookRun): string {
  const mark = layout.once(run.onceAs, run.hook);
  const end = `{ status=$?; rm -f ${mark}.begun; exit $status; }`;
  const told = tell(run);
  return [
    `if [ -e ${mark}.done ]; then ${[...told, 'exit 0'].join('; ')}; fi`,
    `if [ -e ${mark}.begun ]; then echo '= cut off'; exit 0; fi`,
    ...closeWayBack(run),
    `: > ${mark}.begun`,
    ...(run.duty === 'backup' ? backUp(fence, run, end) : [`${inRelease(run, run.command)} || ${end}`]),
    `: > ${mark}.done`,
    ...told,
  ].join('\n');
}

/** What the run must know, also of an attempt whose reply was lost. */
const tell = ({ onceAs, release, duty, closesWayBack = false }: HookRun): readonly string[] => [
  ...(closesWayBack === false
    ? []
    : [`if grep -qsx ${onceAs} ${layout.irreversible}; then echo '= irreversible'; fi`]),
  ...(duty === 'backup' ? [`sed -n 's/^backup [0-9]* /= backup /p' ${layout.record(release.id)}`] : []),
];

function closeWayBack(run: HookRun): readonly string[] {
  const { onceAs, closesWayBack = false } = run;
  const close = `echo ${onceAs} >> ${layout.irreversible}`;
  if (typeof closesWayBack === 'boolean') return closesWayBack ? [close] : [];
  return [
    `status=0; ${inRelease(run, closesWayBack)} || status=$?`,
    `case $status in (0) ${close} ;; (1) ;; (*) echo 'whether it is irreversible could not be told' >&2; exit $status ;; esac`,
  ];
}

/** One that left nothing, and names nothing, is none. Nobody but its owner may read it. */
function backUp({ deployTo }: Fence, run: HookRun, end: string): readonly string[] {
  const { id } = run.release;
  const file = layout.backup(id);
  const whole = `${deployTo}/${file}`;
  return [
    `( umask 077; mkdir -p ${layout.backups} )`,
    `rm -rf ${file} ${file}.*`,
    `output=$( ${inRelease(run, run.command, 'umask 077', words('export', `SLUICE_BACKUP=${whole}`))} ) || ${`{ status=$?; printf '%s\\n' "$output"; rm -rf ${file} ${file}.*; (exit $status) || ${end}; }`}`,
    `printf '%s\\n' "$output"`,
    `backup=$(printf '%s\\n' "$output" | sed -n '$p')`,
    `for made in ${file} ${file}.*; do [ ! -e "$made" ] || { backup=; [ ! -s "$made" ] || backup=${words(deployTo)}/$made; break; }; done`,
    `[ -n "$backup" ] || { echo 'it left nothing at $SLUICE_BACKUP, and named no backup in its last line' >&2; false || ${end}; }`,
    `echo "backup $(date +%s) $backup" >> ${layout.record(id)}`,
  ];
}
