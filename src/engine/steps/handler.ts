import type { Site } from '../../core/site.ts';
import type { StepKind, StepOf } from '../../core/step.ts';
import type { Ports } from '../../ports.ts';
import type { NodeFailure, Run } from '../run.ts';

/** What a kind of step does. Each may be executed twice without harm. */
export interface StepHandler<K extends StepKind> {
  /** What it runs, for people: one line each. Touches nothing. */
  describe(step: StepOf<K>, ports: Ports, site: Site): readonly string[];
  /** Does it on all its nodes, and says which failed. Throws only for a bug. */
  execute(step: StepOf<K>, run: Run): Promise<readonly NodeFailure[]>;
}
