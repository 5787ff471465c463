import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';

export const resumeCommand: Command = (call) =>
  releaseRun(call, 'resume', (request, { ports, engine }) =>
    engine.resume({ ...request, force: call.flags.force ?? false }, ports),
  );
