export { defineFleet, type FleetConfig } from './config/fleet-config.ts';
export { defineSite, env, file, type SiteConfig, type StageConfig } from './config/site-config.ts';
export type { CommandLine } from './core/command.ts';
export type { HookAction, HookContext, HookFunction, HookPhase, HookPoint, HookSpec } from './core/hook.ts';
export type { Node } from './core/node.ts';
export type { Observation } from './core/observation.ts';
export type { Release, ReleaseId, Revision } from './core/release.ts';
export type { Site } from './core/site.ts';
export {
  activate,
  check,
  drain,
  enable,
  flip,
  hold,
  prepare,
  preview,
  type Step,
  type StepKind,
  type StepOf,
  shift,
} from './core/step.ts';
export { batches, outdated, type Strategy, type StrategyKind, weakestFirst } from './core/strategy.ts';
export type { Target } from './core/target.ts';
export type { Verdict } from './core/verdict.ts';
