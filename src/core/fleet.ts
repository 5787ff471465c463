import type { HookSpec } from './hook.ts';
import type { Release, ReleaseId, Revision } from './release.ts';
import type { Check, NoticeSettings } from './site.ts';

/** A machine image, such as `ami-0abc1234def567890`. */
export type ImageId = string;
export type InstanceId = string;

/**
 * A site at one stage whose machines are made of images: none of them is known by name, and a release is an image. As
 * `Site`, it is parsed, and nothing in here is checked again.
 */
export interface FleetSite {
  readonly name: string;
  readonly stage: string;
  readonly seed: SeedInstance;
  /** `newest`, or an image: what is deployed unless the command line names another. */
  readonly ref: string;
  readonly fleet: FleetSettings;
  /** What a new instance must answer before it takes traffic. */
  readonly checks: readonly Check[];
  /** `hold`: nothing more is changed, and the run waits for `sluice resume` or `sluice abort`. */
  readonly onFailure: 'rollback' | 'hold';
  /** Each is run on the machine that sluice runs on, at one of `fleetHookPoints`. */
  readonly hooks: readonly HookSpec[];
  readonly notices: readonly NoticeSettings[];
  /** Images that `sluice seed prune` leaves, at least 2. */
  readonly keepReleases: number;
}

/** Of a fleet an image is the release; what it is a build of, nobody knows. */
export const imageRelease = (image: ImageId): Release => ({
  id: image as unknown as ReleaseId,
  revision: '' as Revision,
});

export const isImageRelease = ({ id }: Release): boolean => /^ami-/.test(id);

/** The machine on which changes are made and tried. */
export interface SeedInstance {
  readonly instance: InstanceId;
  /** Whether it is started anew for the image, so that what it has not written yet is in it. */
  readonly reboot: boolean;
  readonly checks: readonly Check[];
  /** How long an image may take. */
  readonly timeoutMs: number;
}

/** Parsed by the kind itself; `kind` is a key of the registry in `src/adapters/fleets`. */
export interface FleetSettings {
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Instances that must be serving at every moment, and new ones at a time: a count, or a part of the capacity. */
  readonly servingMin: Share;
  readonly surge: Share;
  /** How long a run goes on while nothing gets on. */
  readonly patienceMs: number;
}

export type Share = number | `${number}%`;

/** The count that a share is of so many; a part is rounded up. */
export const shareOf = (share: Share, of: number): number =>
  typeof share === 'number' ? share : Math.ceil((Number.parseFloat(share) * of) / 100);

/** An image of the seed, as AWS keeps it. */
export interface MachineImage {
  readonly id: ImageId;
  readonly name: string;
  readonly atMs: number;
  readonly by: string;
  readonly state: 'pending' | 'available' | 'failed' | 'gone';
  /** What went wrong; null: nothing. */
  readonly reason: string | null;
  /** The environment of Elastic Beanstalk of which the seed was an instance; null: none. */
  readonly environment: string | null;
}

/** What a fleet makes machines of. `version`: of the launch template; null where there is none, or none is made yet. */
export interface Place {
  readonly image: ImageId;
  readonly version: string | null;
}

export interface Capacity {
  readonly min: number;
  readonly desired: number;
  readonly max: number;
}

/** What a fleet is to be like at the end. */
export interface Goal extends Place {
  readonly capacity: Capacity;
  readonly servingMin: number;
  readonly surge: number;
  /** Processes that this run suspends, and resumes at its end: not those that somebody had suspended before. */
  readonly suspends: readonly string[];
}

/** What is so. Which kind decides who replaces: sluice itself, an instance refresh, or Elastic Beanstalk. */
export type FleetState = GroupState | RefreshedState | EnvironmentsState;

export interface GroupState {
  readonly kind: 'group';
  /** What the next instance is made of. */
  readonly place: Place;
  readonly capacity: Capacity;
  readonly suspended: readonly string[];
  readonly instances: readonly FleetInstance[];
}

export interface RefreshedState extends Omit<GroupState, 'kind'> {
  readonly kind: 'refreshed group';
  /** The last one; null: there was none. */
  readonly refresh: Refresh | null;
}

export interface Refresh {
  /** Of the launch template, that it leads to; null: unknown. */
  readonly version: string | null;
  readonly state: 'under way' | 'ending' | 'successful' | 'failed';
  /** Of the instances, in percent. */
  readonly percent: number;
  readonly reason: string | null;
}

export interface FleetInstance {
  readonly id: InstanceId;
  readonly image: ImageId;
  /** Null until it has one. */
  readonly address: string | null;
  /** `aside`: an operator put it into standby, or detaches it. */
  readonly phase: 'starting' | 'in service' | 'ending' | 'aside';
  /** Whether balancers send it requests: all, some or none of them; `draining`: requests may still be in flight. */
  readonly traffic: 'in' | 'partly' | 'draining' | 'out';
  /** What the group and all balancers find. */
  readonly healthy: boolean;
}

export interface EnvironmentsState {
  readonly kind: 'environments';
  /** One, or two of which one is live. */
  readonly environments: readonly Environment[];
}

export interface Environment {
  readonly name: string;
  readonly image: ImageId;
  readonly isLive: boolean;
  readonly status: 'ready' | 'changing' | 'gone';
  readonly health: 'good' | 'poor' | 'unknown';
  /** A host name that leads to it, whoever is live. */
  readonly address: string | null;
}

/** What a run did so far that no observation shows: it is gone with the run, and found out anew. */
export interface Memory {
  /** Machines that answered their checks. */
  readonly proved: ReadonlySet<string>;
  /** Orders that AWS carries out by itself, by what they lead to. */
  readonly ordered: ReadonlySet<string>;
}

/** One thing to do next. Each may be done twice without harm. */
export type FleetStep =
  | { readonly kind: 'suspend'; readonly processes: readonly string[] }
  | { readonly kind: 'unsuspend'; readonly processes: readonly string[] }
  | { readonly kind: 'size'; readonly version: string | null; readonly capacity: Capacity }
  | { readonly kind: 'prove'; readonly machines: readonly Machine[] }
  | { readonly kind: 'enable'; readonly instances: readonly InstanceId[] }
  | { readonly kind: 'drain'; readonly instances: readonly InstanceId[] }
  | { readonly kind: 'end'; readonly instances: readonly InstanceId[] }
  | {
      readonly kind: 'refresh';
      readonly version: string | null;
      /** In percent of the capacity. */
      readonly healthyMin: number;
      readonly healthyMax: number;
    }
  | { readonly kind: 'cancel refresh' }
  | { readonly kind: 'update'; readonly environment: string; readonly image: ImageId }
  | { readonly kind: 'swap'; readonly from: string; readonly to: string }
  | { readonly kind: 'wait'; readonly until: string }
  | { readonly kind: 'fail'; readonly reason: string }
  | { readonly kind: 'done' };

export interface Machine {
  readonly name: string;
  readonly address: string;
}

/** Whether it does what it is there for: the one thing that the floor counts. */
export const isServing = ({ phase, traffic, healthy }: FleetInstance): boolean =>
  phase === 'in service' && traffic === 'in' && healthy;

/** What counts toward the capacity of a group. */
export const isAlive = ({ phase }: FleetInstance): boolean => phase === 'starting' || phase === 'in service';
