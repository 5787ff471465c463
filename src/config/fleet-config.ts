import type { FleetHookPoint, HookFunction } from '../core/hook.ts';
import type {
  CheckConfig,
  CommandHookConfig,
  Duration,
  NoticeConfig,
  ReadyMadeHookConfig,
} from './site-config.ts';

/** The config of a site that is a fleet, as it is written. The fields (`fleet-fields.ts`) read it. */
export interface FleetConfig extends FleetStageConfig {
  /** The name of the site, on the screen, in logs and in the lock. */
  readonly name: string;
  /**
   * The places that the site runs at, each with the settings that differ there: objects merge with those above, lists
   * and all else replace them.
   */
  readonly stages: Readonly<Record<string, FleetStageConfig>>;
}

/** What a stage of a fleet may say. What it leaves out, the site says. */
export interface FleetStageConfig {
  /** The machine of which images are taken. */
  readonly source?: InstanceSourceConfig;
  /** The machines that are made of an image. */
  readonly fleet?: FleetKindConfig;
  /** What a new machine must answer at its private address; with an Auto Scaling group before it takes traffic. */
  readonly checks?: readonly Omit<CheckConfig, 'via'>[];
  /** Images that sluice seed prune leaves. */
  readonly keepReleases?: number;
  /** Your own steps, each run where sluice is, a list at each point: before:deploy, after:deploy, before:rollback, after:rollback and failed. */
  readonly hooks?: { readonly [P in FleetHookPoint]?: readonly FleetHookConfig[] };
  /** Who is told when a run begins, waits for a person, fails, is rolled back, or succeeds. A notice that is not taken is a warning. */
  readonly notices?: readonly NoticeConfig[];
  /**
   * What happens when a step fails: 'rollback' goes back to the image before, 'hold' changes nothing more and waits for
   * sluice promote or sluice abort.
   */
  readonly onFailure?: 'rollback' | 'hold';
}

/** A hook that needs no node. */
export type FleetHookConfig =
  | (Omit<CommandHookConfig, 'on' | 'role' | 'once'> & { readonly on: 'operator' })
  | ReadyMadeHookConfig
  | HookFunction;

export interface InstanceSourceConfig {
  /** The seed. */
  readonly seed?: InstanceConfig;
  /** The image that is deployed unless the command line names another: newest, or its id. */
  readonly ref?: string;
}

export interface InstanceConfig {
  /** The instance of AWS that images are taken of. */
  readonly instance?: string;
  /** Whether it is started anew for an image. Without that, what it has not written to its disk yet is missing. */
  readonly reboot?: boolean;
  /** What it must answer at its private address before an image is taken. */
  readonly checks?: readonly Omit<CheckConfig, 'via'>[];
  /** How long an image may take. */
  readonly timeout?: Duration;
}

/** A kind of fleet with its options, which the reference lists. */
export interface FleetKindConfig {
  readonly kind?: 'aws-auto-scaling' | 'aws-beanstalk';
  /** The capacity floor: the fewest machines that serve at every moment, as a count or a part (rounded up) of the capacity. */
  readonly servingMin?: number | `${number}%`;
  /** New machines at a time beyond the capacity of an Auto Scaling group, as a count or a part (rounded up) of it. */
  readonly surge?: number | `${number}%`;
  /** How long a run goes on while nothing gets on: longer than a machine takes to start, and than its last requests take to end. */
  readonly patience?: Duration;
  readonly [option: string]: unknown;
}

/** Types a config of a fleet as it is written; changes nothing. */
export const defineFleet = (config: FleetConfig): FleetConfig => config;
