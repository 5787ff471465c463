import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FleetSite } from '../fleet.ts';
import { reload } from '../web.ts';
import { type Contender, keepReleases, linkedDir } from './contender.ts';

/**
 * Debian's Ansible with its haproxy module: the release is put on all nodes at the same time, then they change one by one.
 * Connections are kept, modules are piped, and no facts are gathered: as fast as it is without plugins.
 */
export const ansible: Contender = {
  name: 'ansible',
  label: 'Ansible, one by one, HAProxy',
  async furnish(site) {
    for (const [path, text] of Object.entries(files(site))) await writeFile(join(site.folder, path), text);
  },
  command: () => ['ansible-playbook', 'deploy.yml'],
  // A minute is too short for the next deploy to find its connections in real life.
  async tidy(site) {
    const options = ['-F', site.operator.sshConfig, '-o', `ControlPath=${site.folder}/%h`, '-O', 'exit'];
    for (const { address } of site.nodes) await promisify(execFile)('ssh', [...options, address]);
  },
};

const files = (site: FleetSite): Readonly<Record<string, string>> => ({
  'ansible.cfg': `[defaults]
inventory = inventory.ini
forks = ${site.nodes.length}
gathering = explicit
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = true
ssh_args = -F ${site.operator.sshConfig} -o ControlMaster=auto -o ControlPersist=60s
control_path = ${site.folder}/%%h
`,
  'inventory.ini': `[web]
${site.nodes.map(({ name, address }) => `${name} ansible_host=${address}\n`).join('')}`,
  'deploy.yml': playbook(site),
});

const playbook = ({ folder, port, deployTo, balancer, operator }: FleetSite): string => `
- hosts: localhost
  connection: local
  tasks:
    - name: Name the release
      ansible.builtin.command: date -u +%Y%m%d%H%M%S
      register: named
    - name: Find the revision
      ansible.builtin.command: git -C ${operator.repository} rev-parse main
      register: found
    - name: Pack the release
      ansible.builtin.command: git -C ${operator.repository} archive --format=tar.gz -o ${folder}/release.tar.gz {{ found.stdout }}

- hosts: web
  any_errors_fatal: true
  vars: &facts
    revision: "{{ hostvars.localhost.found.stdout }}"
    release: "{{ hostvars.localhost.named.stdout }}"
    directory: "${deployTo}/releases/{{ release }}"
  tasks:
    - name: Make the directory of the release
      ansible.builtin.file:
        path: "{{ directory }}"
        state: directory
    - name: Unpack the release
      ansible.builtin.unarchive:
        src: ${folder}/release.tar.gz
        dest: "{{ directory }}"
    - name: Write the revision
      ansible.builtin.copy:
        content: "{{ revision }}\\n"
        dest: "{{ directory }}/REVISION"
    - name: Link what is shared
      ansible.builtin.file:
        src: ${deployTo}/shared/${linkedDir}
        path: "{{ directory }}/${linkedDir}"
        state: link

- hosts: web
  serial: 1
  any_errors_fatal: true
  vars: *facts
  tasks:
    - name: Take the node out of rotation
      community.general.haproxy:
        <<: &server
          socket: ${balancer?.socket}
          backend: web
          host: "{{ inventory_hostname }}"
          wait: true
          wait_interval: 1
        state: drain
      delegate_to: localhost
    - name: Switch to the release
      ansible.builtin.file:
        src: "{{ directory }}"
        path: ${deployTo}/current
        state: link
    - name: Reload PHP
      ansible.builtin.command: ${reload.join(' ')}
    - name: Wait until the node answers as the release
      ansible.builtin.uri:
        url: "http://{{ ansible_host }}:${port}/health"
        return_content: true
      register: answer
      until: "'release ' ~ release ~ ' revision ' ~ revision in (answer.content | default(''))"
      retries: 60
      delay: 1
    - name: Put the node back
      community.general.haproxy:
        <<: *server
        state: enabled
      delegate_to: localhost

- hosts: web
  tasks:
    - name: Remove old releases
      ansible.builtin.shell: ls | sort | head -n -${keepReleases} | xargs -r rm -rf
      args:
        chdir: ${deployTo}/releases
`;
