import type { ReleaseId } from '../core/release.ts';

/**
 * Where things are on a node: Capistrano's layout, and `.sluice/` beside it. Scripts run in `deployTo`, so all
 * but the first are relative to it.
 */
export const layout = {
  releases: 'releases',
  current: 'current',
  shared: 'shared',
  revisionsLog: 'revisions.log',
  own: '.sluice',
  lock: '.sluice/lock',
  /** Made by the run that takes a dead run's lock over. */
  claim: (run: string): string => `.sluice/claim.${run}`,
  heartbeat: '.sluice/heartbeat',
  /** The run that waits for a person, then a line of JSON: why, and since when. */
  held: '.sluice/held',
  /** Held by the kernel for a command that must be alone on the node, for as long as it runs. */
  busy: '.sluice/busy',
  /** The process of the last attempt to switch. */
  latest: '.sluice/latest',
  drained: '.sluice/drained',
  /** The run that put the cron here: while it is there, jobs may begin. */
  cron: '.sluice/cron',
  /** What each line of the crontab runs. */
  cronJob: '.sluice/cron-job',
  /** Locked by the kernel for as long as a job runs. */
  cronRunning: '.sluice/cron-running',
  /** The crontab as it was, and as it is to be, while it is changed. */
  crontab: '.sluice/crontab',
  /** The attempt that saw to the workers last. */
  workers: '.sluice/workers',
  /** Releases whose migration closed the way back, an id a line; never forgotten. */
  irreversible: '.sluice/irreversible',
  /** Looked at by web server or application. Not in `shared/`, which may be on storage that hangs. */
  maintenance: 'maintenance',
  backups: 'backups',
  /** Of the database, before the release's migration; a suffix may follow. */
  backup: (id: ReleaseId): string => `backups/${id}`,
  history: '.sluice/history',
  release: (id: ReleaseId): string => `releases/${id}`,
  /** One line a mark: `complete`, `live`, `checked`, `failed`, `backup`, each with its time. */
  record: (id: ReleaseId): string => `.sluice/releases/${id}`,
  /** The manifest of the image that a release is. */
  image: (id: ReleaseId): string => `.sluice/images/${id}`,
  incoming: (id: ReleaseId): string => `.sluice/incoming/${id}`,
  /** The content of files that was fetched for a release, as `<two digits>/<digest>`. */
  fetched: (id: ReleaseId): string => `.sluice/incoming/${id}.files`,
  journal: (run: string): string => `.sluice/journal/${run}`,
  /** The files that a release brought in a directory of assets. */
  assets: (id: string, dir: string): string => `.sluice/assets/${id}.${encodeURIComponent(dir)}`,
  once: (id: ReleaseId, hook: string): string => `.sluice/once/${id}.${encodeURIComponent(hook)}`,
} as const;

/** Directories that must be there before anything is written. */
export const ownDirectories: readonly string[] = [
  layout.releases,
  layout.shared,
  '.sluice/releases',
  '.sluice/incoming',
  '.sluice/journal',
  '.sluice/once',
  '.sluice/assets',
];
