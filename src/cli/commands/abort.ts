import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';

export const abortCommand: Command = (call) =>
  releaseRun(call, 'abort', (request, { ports, engine }) => {
    const { force = false, acrossIrreversible = false } = call.flags;
    return engine.abort({ ...request, force, acrossIrreversible }, ports);
  });
