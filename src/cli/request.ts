import type { Site } from '../core/site.ts';
import type { RunRequest } from '../engine/deploy.ts';
import { type Call, knownNodes } from './call.ts';

/** What the engine is asked for, from the command line and the config. */
export const requestOf = async (
  { environment, flags }: Call,
  site: Site,
  confirm: RunRequest['confirm'],
): Promise<RunRequest> => ({
  site,
  nodes:
    flags.nodes === undefined
      ? null
      : knownNodes(
          flags.nodes.split(',').map((name) => name.trim()),
          site,
        ),
  strategy: await environment.config.strategy(site.strategy),
  signal: environment.signal,
  confirm,
});
