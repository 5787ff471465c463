import { packRelease } from '../../commands/pack-release.ts';
import { isDeployError } from '../../core/errors.ts';
import type { StepOf } from '../../core/step.ts';
import type { Artifact } from '../../ports.ts';
import { attemptsMax, nodeOf, onNode, type Run, stepFailed } from '../run.ts';
import type { StepHandler } from './handler.ts';

type Fetch = StepOf<'fetch'>;

export const fetch: StepHandler<'fetch'> = {
  describe: ({ from, release }, _ports, { deployTo }) => [`${from}: pack ${deployTo}/releases/${release.id}`],
  async execute(step, run) {
    try {
      run.artifact = await fetched(step, run);
      return [];
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

/** Half of what came over a connection that was lost is thrown away. */
async function fetched({ from, release }: Fetch, run: Run): Promise<Artifact> {
  for (let attempt = 1; ; attempt++) {
    const spool = await run.ports.spool.begin();
    try {
      const pack = packRelease(run.site.deployTo, release.id);
      const options = { onStdout: spool.write, signal: run.signal, attemptsMax: 1 };
      await onNode(run.ports, nodeOf(run.site, from), pack, options);
      return await spool.end();
    } catch (error) {
      await spool.discard();
      if (!isDeployError(error, 'OUTCOME_UNKNOWN') || run.signal.aborted || attempt >= attemptsMax)
        throw error;
    }
  }
}
