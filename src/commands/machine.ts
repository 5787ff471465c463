import type { NodeCommand } from '../core/command.ts';
import type { MachineState } from '../core/drift.ts';
import { words } from './shell.ts';

/**
 * Reads what a machine has beside the site: its packages, and of each file below the paths a digest alone. Changes nothing,
 * and leaves file systems that are mounted below them alone.
 */
export const readMachine = (paths: readonly string[]): NodeCommand<MachineState> => ({
  name: 'read-machine',
  params: { paths },
  summary: 'read the packages and the configuration of the machine',
  script: [
    'LC_ALL=C; export LC_ALL',
    'if command -v dpkg-query > /dev/null 2>&1; then',
    // What is removed or half installed is not there.
    `  dpkg-query -W -f '\${db:Status-Status} \${binary:Package} \${Version}\\n' | sed -n 's/^installed /p /p'`,
    'elif command -v apk > /dev/null 2>&1; then',
    "  apk info -v 2>/dev/null | sed -n 's/^\\(.*\\)-\\([^-]*-r[0-9]*\\)$/p \\1 \\2/p'",
    // BusyBox may have something of this name that knows no packages.
    'elif command -v rpm > /dev/null 2>&1; then',
    `  rpm -qa --qf 'p %{NAME}.%{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n'`,
    'else echo unmanaged; fi',
    `for top in ${words(...paths)}; do`,
    '  [ -e "$top" ] || continue',
    `  { ${look('-type f')} -exec sha256sum {} + 2>/dev/null || :; } | sed 's/^/f /'`,
    `  ${look('-type l')} -exec sh -c 'for one; do printf "l %s\\t%s\\n" "$one" "$(readlink "$one")"; done' sh {} + 2>/dev/null || :`,
    // What may not be read is not absent.
    `  ${look('! -type l')} -exec sh -c 'for one; do [ -r "$one" ] || echo "u $one"; done' sh {} + 2>/dev/null || :`,
    'done',
  ].join('\n'),
  parse: (stdout) => ({
    packages: /^unmanaged$/m.test(stdout) ? null : packagesIn(stdout),
    paths,
    files: Object.fromEntries([
      ...[...stdout.matchAll(/^f ([0-9a-f]{64}) [ *](\/.+)$/gm)].map(([, digest, path]) => [path, digest]),
      ...[...stdout.matchAll(/^l (\/[^\t\n]+)\t(.+)$/gm)].map(([, path, target]) => [path, `-> ${target}`]),
    ]),
    unread: [...stdout.matchAll(/^u (\/.+)$/gm)].map(([, path]) => path!),
  }),
  timeoutMs: 60_000,
});

/** Names that a line cannot hold are passed over. */
const look = (kind: string): string => `find -H "$top" -xdev ! -path '*[[:cntrl:]\\\\]*' ${kind}`;

/** Of a package that is there several times, such as a kernel, all versions. */
function packagesIn(stdout: string): Readonly<Record<string, string>> {
  const versions = new Map<string, string[]>();
  for (const [, name, version] of stdout.matchAll(/^p (\S+) (\S+)$/gm))
    versions.set(name!, [...(versions.get(name!) ?? []), version!].sort());
  return Object.fromEntries([...versions].map(([name, all]) => [name, all.join(' ')]));
}
