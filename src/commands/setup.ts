import type { NodeCommand } from '../core/command.ts';
import type { Site } from '../core/site.ts';
import { layout, ownDirectories } from './layout.ts';
import { words } from './shell.ts';

/** Makes the directories of an empty `deployTo`, with what linked paths need in `shared/`. Changes none that is there. */
export const setUp = ({ deployTo, linkedDirs, linkedFiles }: Site): NodeCommand<void> => ({
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
});
