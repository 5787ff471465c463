import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';

export const abortCommand: Command = (call) =>
  releaseRun(call, 'abort', (request, { ports, engine }) =>
    engine.abort({ ...request, force: call.flags.force ?? false }, ports),
  );
