/** What commands use of the engine, loaded as one when a command needs it: help must not wait for it. */

export { moveCron } from '../engine/cron.ts';
export {
  abort,
  deploy,
  flip,
  promote,
  propose,
  proposeFlip,
  proposeRollback,
  resume,
  rollback,
  sync,
} from '../engine/deploy.ts';
export { findDrift } from '../engine/drift.ts';
export { history } from '../engine/history.ts';
export { maintain } from '../engine/maintenance.ts';
export { setRotation } from '../engine/manual.ts';
export { observe } from '../engine/observe.ts';
export {
  flipsOnlyProblems,
  preflight,
  preflightPools,
  setup,
  webSocketProblems,
} from '../engine/preflight.ts';
export { buildImage, compareImages, imagesOf, pruneImages } from '../engine/seed.ts';
export { shrunk } from '../engine/shrunk.ts';
export { proveStorage } from '../engine/storage.ts';
export { takeOver } from '../engine/take-over.ts';
export { unlock } from '../engine/unlock.ts';
export { weakSpots } from '../engine/weak-spots.ts';
