import type { Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';
import { releaseOf } from './rollback.ts';

export const syncCommand: Command = (call) => {
  const to = releaseOf(call);
  const named = call.words.slice(1);
  const nodes = named.length > 0 ? named : null;
  return releaseRun(call, 'sync', (request, { ports, engine }) =>
    engine.sync({ ...request, nodes, to, acrossIrreversible: call.flags.acrossIrreversible ?? false }, ports),
  );
};
