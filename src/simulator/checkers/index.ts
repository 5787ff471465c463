import type { World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';
import { allowedRelease } from './allowed-release.ts';
import { alwaysEnds } from './always-ends.ts';
import { assetsFirst } from './assets-first.ts';
import { bakedWell } from './baked-well.ts';
import { blastRadius } from './blast-radius.ts';
import type { Checker } from './checker.ts';
import { cronHeld } from './cron-held.ts';
import { drainInTime } from './drain-in-time.ts';
import { endIsTrue } from './end-is-true.ts';
import { fencing } from './fencing.ts';
import { floor } from './floor.ts';
import { inTime } from './in-time.ts';
import { joinGate } from './join-gate.ts';
import { journalFirst } from './journal-first.ts';
import { judgedFirst } from './judged-first.ts';
import { lockFreed } from './lock-freed.ts';
import { noSpilledRequest } from './no-spilled-request.ts';
import { nothingLeftDrained } from './nothing-left-drained.ts';
import { once } from './once.ts';
import { oneCron } from './one-cron.ts';
import { oneRevision } from './one-revision.ts';
import { oneWayBack } from './one-way-back.ts';
import { oursOnly } from './ours-only.ts';
import { outAtOnce } from './out-at-once.ts';
import { poolWhole } from './pool-whole.ts';
import { proofBeforeTraffic } from './proof-before-traffic.ts';
import { schemaWindow } from './schema-window.ts';
import { singleLock } from './single-lock.ts';
import { stillWhileHeld } from './still-while-held.ts';
import { toldAgain } from './told-again.ts';
import { toldTogether } from './told-together.ts';
import { wayBack } from './way-back.ts';
import { weightsWhole } from './weights-whole.ts';
import { workersWhole } from './workers-whole.ts';

export const checkers: readonly Checker[] = [
  floor,
  outAtOnce,
  noSpilledRequest,
  toldTogether,
  drainInTime,
  proofBeforeTraffic,
  joinGate,
  poolWhole,
  allowedRelease,
  blastRadius,
  judgedFirst,
  bakedWell,
  wayBack,
  oneWayBack,
  oursOnly,
  once,
  oneCron,
  cronHeld,
  workersWhole,
  assetsFirst,
  schemaWindow,
  oneRevision,
  stillWhileHeld,
  journalFirst,
  fencing,
  singleLock,
  lockFreed,
  nothingLeftDrained,
  weightsWhole,
  toldAgain,
  endIsTrue,
  alwaysEnds,
  inTime,
];

/** What is looked at once the world is healed. */
export const lastPromises = ['others-go-on', 'converges', 'nothing-to-do'] as const;

/** A promise that did not hold. */
export interface Broken {
  readonly promise: string;
  readonly how: string;
}

export interface Watcher {
  readonly broken: readonly Broken[];
  begin(world: World): void;
  see(event: WorldEvent): void;
  complain(promise: string, how: string): void;
}

/** Shows every event to every checker, and keeps what they complain of. */
export function watch(): Watcher {
  const broken: Broken[] = [];
  let watching: readonly (readonly [string, (event: WorldEvent) => string | null])[] = [];
  const complain = (promise: string, how: string): void => void broken.push({ promise, how });
  return {
    broken,
    complain,
    begin(world) {
      watching = checkers.map((checker) => [checker.name, checker.watch(world)] as const);
    },
    see(event) {
      for (const [promise, see] of watching) {
        const how = see(event);
        if (how !== null) complain(promise, how);
      }
    },
  };
}
