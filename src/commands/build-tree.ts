import type { CommandLine, NodeCommand } from '../core/command.ts';
import { isRevision, type Revision } from '../core/release.ts';
import { quote, userCommand, words } from './shell.ts';

/**
 * Brings a commit into a directory of a seed, where `git` is set, and runs commands there. Files that git does not know
 * stay. Says which commit it is.
 */
export const buildTree = (
  path: string,
  {
    git,
    ref,
    build,
  }: { readonly git: string | null; readonly ref: string; readonly build: readonly CommandLine[] },
): NodeCommand<Revision | null> => ({
  name: 'build-tree',
  params: { path, git, ref, build },
  summary: git === null ? `build in ${path}` : `check out ${ref} in ${path} and build it`,
  script: [
    `cd ${quote(path)}`,
    ...(git === null
      ? []
      : [
          '[ -d .git ] || git init --quiet',
          // It cannot ask for a password here.
          `GIT_TERMINAL_PROMPT=0 ${words('git', 'fetch', '--quiet', '--force', '--', git, ref)}`,
          'git checkout --quiet --force --detach FETCH_HEAD',
          'echo "commit $(git rev-parse HEAD)"',
        ]),
    // What a command starts, such as a server, must not hold the connection.
    ...build.map((command) => `${userCommand(command)} < /dev/null >&2`),
  ].join('\n'),
  parse: (stdout) => {
    const commit = /^commit (\S+)$/m.exec(stdout)?.[1] ?? '';
    return isRevision(commit) ? commit : null;
  },
  timeoutMs: 30 * 60_000,
});
