import type { NodeCommand } from '../core/command.ts';
import type { Site } from '../core/site.ts';
import { mayHang } from '../core/storage.ts';
import { layout, ownDirectories } from './layout.ts';
import { words } from './shell.ts';

/**
 * Makes the directories of an empty `deployTo`, with what linked paths need in `shared/`. Changes none that is there, and
 * makes none for shared storage: where that is not mounted, it would be on the node's own disk.
 */
export const setUp = (site: Site): NodeCommand<void> => {
  const { deployTo } = site;
  const isLocal = (path: string): boolean => !mayHang(site, path);
  const linkedDirs = site.linkedDirs.filter(isLocal);
  const linkedFiles = site.linkedFiles.filter(isLocal);
  return {
    name: 'set-up',
    params: { deployTo, linkedDirs, linkedFiles },
    summary: `make the directories of ${deployTo}`,
    script: words(
      'mkdir',
      '-p',
      ...ownDirectories.map((dir) => `${deployTo}/${dir}`),
      ...linkedDirs.map((path) => `${deployTo}/${layout.shared}/${path}`),
      ...linkedFiles.map((path) => `${deployTo}/${layout.shared}/${path}`.replace(/\/[^/]*$/, '')),
    ),
    parse: () => undefined,
    timeoutMs: 30_000,
  };
};
