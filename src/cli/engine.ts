import { moveCron } from '../engine/cron.ts';
import {
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
import { findDrift } from '../engine/drift.ts';
import { history } from '../engine/history.ts';
import { maintain } from '../engine/maintenance.ts';
import { setRotation } from '../engine/manual.ts';
import { observe } from '../engine/observe.ts';
import {
  flipsOnlyProblems,
  preflight,
  preflightPools,
  setup,
  webSocketProblems,
} from '../engine/preflight.ts';
import { buildImage, compareImages, imagesOf, pruneImages } from '../engine/seed.ts';
import { shrunk } from '../engine/shrunk.ts';
import { proveStorage } from '../engine/storage.ts';
import { takeOver } from '../engine/take-over.ts';
import { unlock } from '../engine/unlock.ts';
import { weakSpots } from '../engine/weak-spots.ts';
import type { Engine } from './environment.ts';

/** The real engine. It is much code: help must not wait for it. */
export const engine: Engine = {
  deploy,
  rollback,
  flip,
  resume,
  abort,
  promote,
  sync,
  takeOver,
  propose,
  proposeRollback,
  proposeFlip,
  observe,
  preflight,
  preflightPools,
  flipsOnlyProblems,
  webSocketProblems,
  weakSpots,
  shrunk,
  setup,
  proveStorage,
  setRotation,
  unlock,
  history,
  moveCron,
  maintain,
  imagesOf,
  buildImage,
  compareImages,
  pruneImages,
  findDrift,
};
