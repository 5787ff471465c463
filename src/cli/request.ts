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
  signal: environment.signal,
  skipUnreachable: flags.skipUnreachable ?? false,
  withoutQuorum: flags.withoutQuorum ?? false,
  ...questions,
});
