import { quote } from './shell.ts';

/**
 * Runs a script that may hang, and goes on without it after `seconds`. A process that waits for the server of a dead
 * mount cannot be killed: it is left behind, cleans up once it wakes, and until then no other of this `name` is begun.
 * What it wrote so far is passed on; `$late` is empty unless it was given up.
 */
export const within = (
  { seconds, name }: { readonly seconds: number; readonly name: string },
  script: string,
): string => {
  const folders = `"$tmp"/${quote(`sluice.${encodeURIComponent(name)}`)}".$world"`;
  return [
    // When a process began tells it from a later one of the same number (proc(5), field 22).
    'began() { read -r line 2>/dev/null < "/proc/$1/stat" || { echo ended; return 0; }; set -- $line; echo "${22}"; }',
    'lives() { [ "$2" != ended ] && [ "$(began "$1")" = "$2" ]; }',
    'for tmp in "${TMPDIR:-/tmp}" /tmp /var/tmp; do [ ! -w "$tmp" ] || break; done',
    // Containers may share a folder, and not the numbers of their processes.
    'world=$(readlink /proc/self/ns/pid || :)',
    'late=',
    `for folder in ${folders}.*; do`,
    // Another user may have made one of this name.
    '  [ -f "$folder/process" ] && [ -O "$folder" ] || continue',
    '  read -r process time looker begun since < "$folder/process" || continue',
    `  if lives "$process" "$time"; then [ $(($(date +%s) - since)) -le ${seconds} ] || late=yes`,
    // Whoever began it may not have read yet what it wrote.
    '  elif ! lives "$looker" "$begun"; then rm -rf "$folder"; fi',
    'done',
    'if [ -z "$late" ]; then',
    `folder=$(mktemp -d ${folders}.XXXXXX)`,
    '(',
    '  (',
    script,
    '  ) > "$folder/output" 2>&1 || :',
    '  : > "$folder/end"',
    '  [ ! -e "$folder/late" ] || rm -rf "$folder"',
    ') < /dev/null > /dev/null 2>&1 &',
    'since=$(date +%s)',
    'echo "$! $(began $!) $$ $(began $$) $since" > "$folder/process"',
    // `date` knows whole seconds, and not every sleep knows parts of one.
    `until [ -e "$folder/end" ] || [ $(($(date +%s) - since)) -gt ${seconds} ]; do`,
    '  sleep 0.1 2>/dev/null || sleep 1',
    'done',
    '[ ! -e "$folder/output" ] || cat "$folder/output"',
    'if [ -e "$folder/end" ]; then rm -rf "$folder"; else : > "$folder/late"; late=yes; fi',
    'fi',
  ].join('\n');
};
