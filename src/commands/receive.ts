import type { NodeCommand } from '../core/command.ts';
import type { Release, ReleaseId } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { type Fence, fenced, takeTurn } from './fenced.ts';
import { layout } from './layout.ts';
import { quote, words } from './shell.ts';

export interface Received {
  /** SHA-256 of the bytes that arrived; null: the release was there already, whole. */
  readonly digest: string | null;
}

/**
 * Unpacks a release from standard input (a gzip-compressed tar), links what is shared, and lets it appear under
 * `releases/` by a rename once its digest is right: a half-made release is never seen there.
 */
export const receive = (
  fence: Fence,
  site: Pick<Site, 'deployTo' | 'linkedDirs' | 'linkedFiles'>,
  release: Release,
  digest: string,
): NodeCommand<Received> => {
  return {
    name: 'receive',
    params: { ...fence, release, digest, linkedDirs: site.linkedDirs, linkedFiles: site.linkedFiles },
    summary: `receive release ${release.id}`,
    script: fenced(
      fence,
      [
        `if ${isWhole(release.id)}; then cat > /dev/null; else`,
        // A folder for each attempt: one whose connection was lost may still be ending.
        `into=${layout.incoming(release.id)}.$$`,
        unpack(digest),
        ...site.linkedDirs.map((path) => link(site.deployTo, path, 'directory')),
        ...site.linkedFiles.map((path) => link(site.deployTo, path, 'file')),
        // It took a while: the lock may be another's by now.
        `trap 'rm -rf "$into"' EXIT`,
        takeTurn(fence.run),
        // An attempt beside this one may have brought it meanwhile, and it may be live.
        `if ! ${isWhole(release.id)}; then`,
        words('rm', '-rf', layout.release(release.id)),
        `mv -T "$into" ${layout.release(release.id)}`,
        `echo "complete $(date +%s) ${digest}" > ${layout.record(release.id)}`,
        'fi; fi',
      ].join('\n'),
    ),
    parse: (stdout) => ({ digest: /^digest ([0-9a-f]+)$/m.exec(stdout)?.[1] ?? null }),
    timeoutMs: 30 * 60_000,
  };
};

const isWhole = (id: ReleaseId): string =>
  `{ grep -qs '^complete' ${layout.record(id)} && [ -d ${layout.release(id)} ]; }`;

/** One pass over the bytes: they are unpacked while they are counted. */
const unpack = (digest: string): string => {
  const remove = 'rm -rf "$into" "$into.pipe" "$into.sum"';
  return [
    remove,
    'mkdir -p "$into"',
    'mkfifo "$into.pipe"',
    'sha256sum < "$into.pipe" > "$into.sum" &',
    `tee "$into.pipe" | { status=0; tar -xzf - -C "$into" || status=$?; cat > /dev/null; exit $status; } || { status=$?; ${remove}; exit $status; }`,
    'wait',
    'read -r got _ < "$into.sum"',
    'rm -f "$into.pipe" "$into.sum"',
    'echo "digest $got"',
    `[ "$got" = ${digest} ] || { ${remove}; exit 0; }`,
  ].join('\n');
};

/** Never through a link that the release itself brought: its parents must be real directories. */
const link = (deployTo: string, path: string, kind: 'directory' | 'file'): string => {
  const parents = path
    .split('/')
    .slice(0, -1)
    .map((_, i, parts) => parts.slice(0, i + 1).join('/'));
  const shared = `${layout.shared}/${path}`;
  const parent = parents.at(-1);
  const inside = (place: string): string => `"$into"/${quote(place)}`;
  return [
    ...parents.map(
      (dir) =>
        `[ ! -L ${inside(dir)} ] || { echo ${quote(`${dir} is a link in the release, so ${path} cannot be linked below it`)} >&2; rm -rf "$into"; exit 1; }`,
    ),
    `mkdir -p ${inside(parent ?? '.')}`,
    words('mkdir', '-p', kind === 'directory' ? shared : `${layout.shared}/${parent ?? '.'}`),
    `rm -rf ${inside(path)}`,
    `ln -s ${quote(`${deployTo}/${shared}`)} ${inside(path)}`,
  ].join('\n');
};
