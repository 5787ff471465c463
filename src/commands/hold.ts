import type { NodeCommand } from '../core/command.ts';
import type { Held } from '../core/observation.ts';
import type { ReleaseId } from '../core/release.ts';
import { holdMark } from '../core/step.ts';
import { type Fence, fenced } from './fenced.ts';
import { layout } from './layout.ts';
import { words } from './shell.ts';

/**
 * Writes beside the lock that its run waits for a person: it is not dead, and nobody else may begin. `historyLine` is
 * one line of JSON for `sluice history`.
 */
export const holdLock = (fence: Fence, held: Held, historyLine: string): NodeCommand<void> => ({
  name: 'hold-lock',
  params: { ...fence, held, historyLine },
  summary: 'hold the lock',
  script: fenced(
    fence,
    [
      `${words('printf', '%s\\n', fence.run, JSON.stringify(held))} > ${layout.held}.new`,
      `mv -f ${layout.held}.new ${layout.held}`,
      `${words('printf', '%s\\n', historyLine)} >> ${layout.history}`,
    ].join('\n'),
  ),
  parse: () => undefined,
  timeoutMs: 30_000,
});

/** Writes down that a hold is over, so that no later plan has it. */
export const passHold = (
  fence: Fence,
  { onceAs, name }: { readonly onceAs: ReleaseId; readonly name: string },
): NodeCommand<void> => ({
  name: 'pass-hold',
  params: { ...fence, onceAs, hold: name },
  summary: `go on after hold ${name}`,
  script: fenced(fence, `: > ${layout.once(onceAs, holdMark(name))}.done`),
  parse: () => undefined,
  timeoutMs: 30_000,
});
