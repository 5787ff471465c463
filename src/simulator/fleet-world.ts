import { failure } from '../core/errors.ts';
import type { FleetState, ImageId, MachineImage } from '../core/fleet.ts';
import { type LoggedEntry, openRun } from '../core/fleet-log.ts';
import type { Fleet, HttpAnswer, HttpQuestion } from '../ports.ts';
import type { VirtualClock } from './clock.ts';
import type { SeededRandom } from './random.ts';

/** A fleet at AWS as a simulation has it: it goes on by itself, each thing at its own time. */
export interface FleetWorld<State extends FleetState = FleetState> {
  readonly fleet: Fleet;
  /** What a machine answers to a check. */
  answer(question: HttpQuestion): HttpAnswer;
  state(): State;
  /** By name, whether a machine or an environment served when the fleet was looked at last. */
  seen(): ReadonlyMap<string, boolean>;
  log(): readonly LoggedEntry[];
  /** How it differs from a fleet that came to this image, once no run has it any more. */
  strays(wanted: ImageId): readonly string[];
  /** How a promise was broken, in the order in which it was. */
  readonly broken: readonly string[];
  /** What happened, a line each. */
  readonly trace: readonly string[];
  /** What is seen to each call before and after it has its effect; it may throw. */
  onCall: (name: string, when: 'before' | 'after') => void;
  /** Nothing happens by itself any more. */
  stop(): void;
}

export interface FleetWorldOptions {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  /** What machines of the new image are: well, or well to look at and `wrong` in what they answer; or `dead`, and never up. */
  readonly image: 'good' | 'wrong' | 'dead';
  /** Whether the site has checks, so that none may take traffic that was never asked. */
  readonly isChecked: boolean;
}

export const oldImage: ImageId = 'ami-00000000000000001';
export const newImage: ImageId = 'ami-00000000000000002';

/** What is around a fleet of any kind: calls that take their time and may fail, a log, and images. */
export interface Account extends FleetWorldOptions {
  /** Of the fleet, for people. */
  readonly name: string;
  readonly broken: string[];
  readonly trace: string[];
  readonly log: LoggedEntry[];
  beat: string | null;
  seen: ReadonlyMap<string, boolean>;
  /** From when a run is written down until it gives the fleet back: then others change it again, and may. */
  isUnderWay: boolean;
  isStopped: boolean;
  onCall: FleetWorld['onCall'];
}

export const newAccount = (name: string, options: FleetWorldOptions): Account => ({
  ...options,
  name,
  broken: [],
  trace: [],
  log: [],
  beat: null,
  seen: new Map(),
  isUnderWay: false,
  isStopped: false,
  onCall: () => {},
});

/** Does `work` again and again, until the world is stopped. */
export function every(account: Account, ms: number, work: () => void): void {
  if (account.isStopped) return;
  account.clock.after(ms, () => {
    work();
    every(account, ms, work);
  });
}

export const say = ({ trace, clock }: Account, text: string): void => {
  trace.push(`${(clock.passedMs() / 1000).toFixed(0)} s: ${text}`);
};

/** One call: nobody knows whether one that failed had its effect. */
export async function asked<T>(account: Account, name: string, work: () => T): Promise<T> {
  await account.clock.sleep(200);
  account.onCall(name, 'before');
  const result = work();
  account.onCall(name, 'after');
  return result;
}

/** The image that the run which has the fleet leads to; null: nobody has it. */
export function leadsTo({ log }: Account): ImageId | null {
  const open = openRun(log);
  return open && (open.state === 'going back' ? open.intent.from : open.intent.to).image;
}

/** The image that the fleet had when that run began: AWS may start more of it, whatever the run is about. */
export const comesFrom = ({ log }: Account): ImageId | null => openRun(log)?.intent.from.image ?? null;

export const addressOf = (name: string): string => `${name}.internal`;

export const hostOf = ({ url }: HttpQuestion): string => new URL(url).hostname;

export const refused = ({ name }: Account, answer: string): Error =>
  failure('FLEET_REFUSED', { fleet: name, request: 'order', answer });

/** All of a world but what its kind of fleet is. */
export const worldOf = <State extends FleetState>(
  account: Account,
  own: Pick<FleetWorld<State>, 'answer' | 'state' | 'strays'> & Pick<Fleet, OwnOfKind>,
): FleetWorld<State> => {
  const { answer, state, strays, ...fleet } = own;
  return {
    answer,
    state,
    strays,
    fleet: { name: account.name, admit: async () => {}, close() {}, ...aws(account), ...fleet },
    broken: account.broken,
    trace: account.trace,
    seen: () => account.seen,
    log: () => [...account.log],
    get onCall() {
      return account.onCall;
    },
    set onCall(onCall) {
      account.onCall = onCall;
    },
    stop() {
      account.isStopped = true;
    },
  };
};

type OwnOfKind = 'disturbing' | 'observe' | 'placeOf' | 'perform' | 'news';

const aws = (account: Account): Pick<Fleet, 'images' | 'log'> => ({
  images: {
    seedAddress: async () => 'seed.internal',
    take: async () => newImage,
    read: async (id) => imageFrom(id),
    list: async () => [imageFrom(newImage), imageFrom(oldImage)],
    remove: async () => {},
  },
  log: {
    read: () => asked(account, 'log.read', () => [...account.log]),
    append: (entry, after) =>
      asked(account, 'log.append', () => {
        say(account, `log: ${entry.state}`);
        account.isUnderWay = entry.state !== 'done' && entry.state !== 'rolled back';
        return account.log.push({ ...entry, number: account.log.length + 1, after });
      }),
    beat: (text) =>
      asked(account, 'log.beat', () => {
        account.beat = text;
      }),
    lastBeat: () => asked(account, 'log.lastBeat', () => account.beat),
  },
});

const imageFrom = (id: ImageId): MachineImage => ({
  id,
  name: id,
  atMs: 0,
  by: 'simulator',
  state: 'available',
  reason: null,
  environment: null,
});
