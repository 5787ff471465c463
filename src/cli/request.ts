import { failure } from '../core/errors.ts';
import { period } from '../core/field.ts';
import type { Site } from '../core/site.ts';
import { namedNodes } from '../core/target.ts';
import type { RunRequest } from '../engine/deploy.ts';
import type { Call } from './call.ts';

/** What the engine is asked for, from the command line and the config. */
export const requestOf = async (
  { environment, flags }: Call,
  site: Site,
  questions: Pick<RunRequest, 'confirm' | 'decide'>,
): Promise<RunRequest> => ({
  site,
  nodes:
    flags.nodes === undefined
      ? null
      : namedNodes(
          site.nodes,
          flags.nodes.split(',').map((name) => name.trim()),
        ),
  strategy: await environment.config.strategy(site.strategy),
  ...(flags.maintenance === undefined ? {} : { maintenance: flags.maintenance }),
  ...(flags.lockWait === undefined ? {} : { lockWaitMs: lockWaitOf(flags.lockWait) }),
  signal: environment.signal,
  skipUnreachable: flags.skipUnreachable ?? false,
  withoutQuorum: flags.withoutQuorum ?? false,
  ...questions,
});

export function lockWaitOf(text: string): number {
  const ms = period.parse(text, '--lock-wait');
  if (!ms.ok) throw failure('USAGE', { problem: ms.problems.join('\n') });
  return ms.value;
}
