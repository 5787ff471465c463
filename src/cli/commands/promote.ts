import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';

export const promoteCommand: Command = (call) =>
  releaseRun(call, 'promote', (request, { ports, engine }) => engine.promote(request, ports));
