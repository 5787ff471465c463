import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FleetSite } from '../fleet.ts';
import { reload } from '../web.ts';
import { type Contender, keepReleases, linkedDir } from './contender.ts';

/**
 * What the work itself costs: packed once, and for all nodes at the same time one ssh that unpacks, links, switches and
 * reloads. No lock, no check, no log, no way back; nothing old is removed.
 */
export const floor: Contender = {
  name: 'floor',
  label: 'floor: a script, one ssh a node',
  furnish: (site) => writeFile(join(site.folder, 'deploy.sh'), script(site)),
  command: () => ['sh', 'deploy.sh'],
  async tidy({ name, nodes }) {
    for (const node of nodes) {
      const releases = join(node.srv, name, 'releases');
      for (const id of (await readdir(releases)).sort().slice(0, -keepReleases))
        await rm(join(releases, id), { recursive: true });
    }
  },
};

const script = ({ deployTo, nodes, operator }: FleetSite): string => `set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
release=$(date -u +%Y%m%d%H%M%S)
revision=$(git -C ${operator.repository} rev-parse main)
git -C ${operator.repository} archive "$revision" | gzip > "$work/release.tar.gz"

cat > "$work/receive.sh" <<EOF
set -eu
cd ${deployTo}
mkdir releases/$release
tar -xzf - -C releases/$release
echo $revision > releases/$release/REVISION
ln -s ${deployTo}/shared/${linkedDir} releases/$release/${linkedDir}
ln -s ${deployTo}/releases/$release current.new
mv -T current.new current
${reload.join(' ')}
EOF

jobs=
for node in ${nodes.map(({ address }) => address).join(' ')}; do
  ssh -F ${operator.sshConfig} "$node" "$(cat "$work/receive.sh")" < "$work/release.tar.gz" &
  jobs="$jobs $!"
done
for job in $jobs; do wait "$job"; done
`;
