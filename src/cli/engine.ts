import type { Engine } from './environment.ts';

/** The real engine, loaded when a command needs it: help must not wait for it. */
export async function loadEngine(): Promise<Engine> {
  const [run, taking, observing, checking, storage, manual, locking, log, cron, maintenance, weak, seed] =
    await Promise.all([
      import('../engine/deploy.ts'),
      import('../engine/take-over.ts'),
      import('../engine/observe.ts'),
      import('../engine/preflight.ts'),
      import('../engine/storage.ts'),
      import('../engine/manual.ts'),
      import('../engine/unlock.ts'),
      import('../engine/history.ts'),
      import('../engine/cron.ts'),
      import('../engine/maintenance.ts'),
      import('../engine/weak-spots.ts'),
      import('../engine/seed.ts'),
    ]);
  const { abort, deploy, flip, promote, propose, proposeFlip, proposeRollback, resume, rollback, sync } = run;
  const { flipsOnlyProblems, preflight, preflightPools, setup, webSocketProblems } = checking;
  return {
    deploy,
    rollback,
    flip,
    resume,
    abort,
    promote,
    sync,
    takeOver: taking.takeOver,
    propose,
    proposeRollback,
    proposeFlip,
    observe: observing.observe,
    preflight,
    preflightPools,
    flipsOnlyProblems,
    webSocketProblems,
    weakSpots: weak.weakSpots,
    setup,
    proveStorage: storage.proveStorage,
    setRotation: manual.setRotation,
    unlock: locking.unlock,
    history: log.history,
    moveCron: cron.moveCron,
    maintain: maintenance.maintain,
    imagesOf: seed.imagesOf,
    buildImage: seed.buildImage,
    compareImages: seed.compareImages,
    pruneImages: seed.pruneImages,
  };
}
