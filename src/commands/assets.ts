import type { ReleaseId } from '../core/release.ts';
import { layout } from './layout.ts';
import { quote } from './shell.ts';

/**
 * Lines of a script that, once the new release is unpacked at `$into`, add the assets of every release on the node to
 * it, and its own to theirs, as hard links: whichever of them a page is of, its files are found, before any node serves
 * the new release and after it is rolled back. Nothing is ever replaced: of a file that two releases have with other
 * content, each keeps its own, for a manifest must name the files of its release. Only what a release brought itself is
 * lent, by the list that is made when it arrives: so files of releases that are gone are gone with those that
 * borrowed them.
 */
export const lendAssets = (id: ReleaseId, dirs: readonly string[]): readonly string[] =>
  dirs.length === 0 ? [] : [functions, ...dirs.map((dir) => lend(id, dir))];

const lend = (id: ReleaseId, dir: string): string =>
  [
    `mkdir -p "$into"/${quote(dir)}`,
    `isOwn "$into" ${quote(dir)} || { echo ${quote(`${dir} leads through a link in the release, so it cannot hold assets`)} >&2; exit 1; }`,
    `list "$into"/${quote(dir)} ${quote(layout.assets(id, dir))}`,
    `clashes ${quote(dir)} "$into"/${quote(dir)}`,
    `for other in ${layout.releases}/*/; do`,
    '  other=${other%/}; name=${other##*/}',
    '  case $name in ([0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) ;; (*) continue ;; esac',
    `  from="$other"/${quote(dir)}; lent=.sluice/assets/$name.${quote(encodeURIComponent(dir))}`,
    '  mkdir -p "$from"',
    `  isOwn "$other" ${quote(dir)} || continue`,
    // One that another tool made, or that came before this setting, has no list yet.
    '  [ -e "$lent" ] || list "$from" "$lent"',
    `  add "$from" "$lent" "$into"/${quote(dir)}`,
    `  add "$into"/${quote(dir)} ${quote(layout.assets(id, dir))} "$from"`,
    'done',
  ].join('\n');

/** Files of other users cannot be linked on every system (fs.protected_hardlinks): those are copied, and appear whole. */
const functions = `isOwn() { [ "$(cd -P "$1/$2" && pwd -P)" = "$(cd -P "$1" && pwd -P)/$2" ]; }
list() { (cd "$1" && find . -type f) > "$2.new" && mv -f "$2.new" "$2"; }
add() {
  while IFS= read -r file; do
    [ ! -e "$3/$file" ] && [ ! -L "$3/$file" ] && [ -e "$1/$file" ] || continue
    [ -d "$3/\${file%/*}" ] || mkdir -p "$3/\${file%/*}"
    ln "$1/$file" "$3/$file" 2>/dev/null || { cp -p "$1/$file" "$3/$file.new" && mv -f "$3/$file.new" "$3/$file"; }
  done < "$2"
}
clashes() {
  [ -d "${layout.current}/$1" ] || return 0
  (cd "${layout.current}/$1" && find . -type f -exec sha256sum {} +) > "$into.sums"
  { cd "$2" && sha256sum -c 2>/dev/null || :; } < "$into.sums" |
    sed -n 's/: FAILED$//p' | while IFS= read -r file; do [ ! -f "$2/$file" ] || echo "clash $1/\${file#./}"; done
  rm -f "$into.sums"
}`;
