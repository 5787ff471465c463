import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';
import { planCommand } from './plan.ts';

export const deployCommand: Command = (call) => {
  if (call.flags.dryRun) return planCommand(call);
  return releaseRun(call, 'deploy', (request, { site, ports, engine }) =>
    engine.deploy({ ...request, ref: call.flags.ref ?? site.source.ref }, ports),
  );
};
