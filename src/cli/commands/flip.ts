import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';
import { showPlan } from './plan.ts';

export const flipCommand: Command = async (call) => {
  const back = call.flags.back ?? false;
  if (call.flags.dryRun) {
    return showPlan(call, 'flip', (request, { ports, engine }) =>
      engine.proposeFlip({ ...request, back }, ports),
    );
  }
  return releaseRun(call, 'flip', (request, { ports, engine }) => engine.flip({ ...request, back }, ports));
};
