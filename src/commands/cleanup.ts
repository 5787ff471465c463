import type { NodeCommand } from '../core/command.ts';
import type { ReleaseId } from '../core/release.ts';
import { type Fence, fenced } from './fenced.ts';
import { layout } from './layout.ts';
import { words } from './shell.ts';

/** Releases that could not be deleted, with what `rm` said. */
export type Undeleted = readonly { readonly id: ReleaseId; readonly reason: string }[];

/**
 * Deletes releases, and what an earlier deletion left. What cannot be deleted is reported, and is no failure. `rm -r`
 * removes links and never follows them, so nothing in shared storage is touched; the live release is kept whatever the
 * list says.
 */
export const removeReleases = (fence: Fence, ids: readonly ReleaseId[]): NodeCommand<Undeleted> => ({
  name: 'remove-releases',
  params: { ...fence, ids },
  summary: `delete ${ids.join(', ')}`,
  script: fenced(
    fence,
    [
      `live=$(readlink ${layout.current} || :)`,
      `for id in ${words(...ids)}; do`,
      '  case $live in (*/$id|$id) continue ;; esac',
      // At once: half a release, of which the deletion was cut off, must not count as one.
      '  if [ ! -d "releases/$id" ] || reason=$(mv -T "releases/$id" "releases/.$id.$$.gone" 2>&1)',
      '  then rm -rf ".sluice/releases/$id" ".sluice/images/$id" ".sluice/once/$id".* ".sluice/assets/$id".* "backups/$id" "backups/$id".*',
      `  else ${undeleted}; fi`,
      'done',
      'for gone in releases/.*.gone; do',
      '  id=${gone#releases/.}; id=${id%%.*}',
      `  [ ! -d "$gone" ] || reason=$(rm -rf "$gone" 2>&1) || ${undeleted}`,
      'done',
    ].join('\n'),
  ),
  parse: (stdout) =>
    stdout
      .split('\n')
      .map((line) => /^undeleted (\d{14}) (.*)$/.exec(line))
      .flatMap((match) => (match ? [{ id: match[1] as ReleaseId, reason: match[2]! }] : [])),
  timeoutMs: 10 * 60_000,
});

const undeleted = 'printf "undeleted %s %s\\n" "$id" "$(echo "$reason" | head -n 1)"';
