import type { CommandLine, NodeCommand } from '../core/command.ts';
import type { HookPoint } from '../core/hook.ts';
import type { Release, ReleaseId } from '../core/release.ts';
import { type Fence, fencedAlone, letGo } from './fenced.ts';
import { layout } from './layout.ts';
import { userCommand, words } from './shell.ts';

export interface HookRun {
  readonly hook: string;
  readonly point: HookPoint;
  readonly command: CommandLine;
  readonly once: boolean;
  /** The release under whose name work that runs once leaves its marks. */
  readonly onceAs: ReleaseId;
  readonly release: Release;
  readonly timeoutMs: number;
}

export interface HookResult {
  /** `unknown`: an earlier attempt began it, and nobody knows how that ended; it was not run again. */
  readonly state: 'done' | 'unknown';
  readonly output: string;
}

/**
 * Runs a hook's command in the release that the run brings (or in `deployTo` where it is not there yet). One
 * that is marked once leaves `begun` and `done` marks under the release's name, so that it is never run twice.
 */
export const runHook = (
  fence: Fence,
  { hook, point, command, once, onceAs, release, timeoutMs }: HookRun,
): NodeCommand<HookResult> => {
  const mark = layout.once(onceAs, hook);
  const run = [
    `( if [ -d ${layout.release(release.id)} ]; then cd ${layout.release(release.id)} || exit; fi`,
    `${words('export', `SLUICE_RELEASE=${release.id}`, `SLUICE_REVISION=${release.revision}`, `SLUICE_HOOK=${point}`)}`,
    `${userCommand(command)} < /dev/null 2>&1 ) ${letGo}`,
  ].join('\n');
  return {
    name: 'run-hook',
    params: { ...fence, hook, point, command, once, onceAs, release },
    summary: `hook ${hook}`,
    script: fencedAlone(
      fence,
      once
        ? [
            `if [ -e ${mark}.done ]; then exit 0; fi`,
            `if [ -e ${mark}.begun ]; then echo '= cut off'; exit 0; fi`,
            `: > ${mark}.begun`,
            `${run} || { status=$?; rm -f ${mark}.begun; exit $status; }`,
            `: > ${mark}.done`,
          ].join('\n')
        : run,
    ),
    parse: (stdout) => ({ state: once && /^= cut off$/m.test(stdout) ? 'unknown' : 'done', output: stdout }),
    timeoutMs,
  };
};
