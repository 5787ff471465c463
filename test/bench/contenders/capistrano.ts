import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { deployUser, sshPort } from '../../lab/nodes.ts';
import type { FleetSite } from '../fleet.ts';
import { reload } from '../web.ts';
import { type Contender, keepReleases, linkedDir } from './contender.ts';

/**
 * Debian's Capistrano with its own git plugin: task by task, on all nodes at the same time. It knows no balancer, and each
 * node needs git and the repository.
 */
export const capistrano: Contender = {
  name: 'capistrano',
  label: 'Capistrano, all at once',
  async furnish(site) {
    for (const [path, text] of Object.entries(files(site))) {
      await mkdir(dirname(join(site.folder, path)), { recursive: true });
      await writeFile(join(site.folder, path), text);
    }
  },
  command: () => ['cap', 'production', 'deploy'],
};

const files = ({ name, deployTo, nodes, operator }: FleetSite): Readonly<Record<string, string>> => ({
  Capfile: `require 'capistrano/setup'
require 'capistrano/deploy'
require 'capistrano/scm/git'
install_plugin Capistrano::SCM::Git
`,
  'config/deploy.rb': `set :application, '${name}'
set :repo_url, '${operator.repositoryUrl}'
set :branch, 'main'
set :deploy_to, '${deployTo}'
set :tmp_dir, '/home/${deployUser.name}'
set :keep_releases, ${keepReleases}
append :linked_dirs, '${linkedDir}'
set :ssh_options, keys: ['${operator.home}/.ssh/id_ed25519'], keys_only: true, verify_host_key: :always

namespace :deploy do
  after :publishing, :reload do
    on(roles(:web)) { execute '${reload.join(' ')}' }
  end
end
`,
  'config/deploy/production.rb': nodes
    .map(
      ({ address }) =>
        `server '${address}', user: '${deployUser.name}', port: ${sshPort}, roles: %w[app web]\n`,
    )
    .join(''),
});
