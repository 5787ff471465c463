import { emit, stepFailed } from '../run.ts';
import type { StepHandler } from './handler.ts';

export const build: StepHandler<'build'> = {
  describe: (_step, { source }) => source.describe(),
  async execute(step, run) {
    try {
      run.artifact = await run.ports.source.build(step.release, {
        signal: run.signal,
        onLine: (text) => emit(run.ports, { type: 'line', from: 'build', text }),
      });
      return [];
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};
