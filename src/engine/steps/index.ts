import type { Site } from '../../core/site.ts';
import type { Step, StepKind } from '../../core/step.ts';
import type { Ports } from '../../ports.ts';
import type { NodeFailure, Run } from '../run.ts';
import { activate } from './activate.ts';
import { build } from './build.ts';
import { check } from './check.ts';
import { cleanup } from './cleanup.ts';
import { cron } from './cron.ts';
import { drain } from './drain.ts';
import { enable } from './enable.ts';
import { fetch } from './fetch.ts';
import { flip } from './flip.ts';
import type { StepHandler } from './handler.ts';
import { hold } from './hold.ts';
import { hook } from './hook.ts';
import { maintenance } from './maintenance.ts';
import { prepare } from './prepare.ts';
import { preview } from './preview.ts';
import { shift } from './shift.ts';

const handlers: { readonly [K in StepKind]: StepHandler<K> } = {
  build,
  fetch,
  prepare,
  drain,
  activate,
  check,
  preview,
  enable,
  flip,
  cleanup,
  cron,
  hook,
  hold,
  shift,
  maintenance,
};

/** The table is keyed by the step's own kind, so the handler that it gives fits the step. */
const handlerOf = (step: Step): StepHandler<StepKind> => handlers[step.kind] as StepHandler<StepKind>;

export const executeStep = (step: Step, run: Run): Promise<readonly NodeFailure[]> =>
  handlerOf(step).execute(step, run);

export const describeStep = (step: Step, ports: Ports, site: Site): readonly string[] =>
  handlerOf(step).describe(step, ports, site);
