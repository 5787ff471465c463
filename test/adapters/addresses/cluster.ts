import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { NodeCommand } from '../../../src/core/command.ts';
import type { Host } from '../../../src/ports.ts';
import { ip } from './kinds.ts';

/** What a cluster is: where its one resource `vip` runs, and the ids of its location constraints. */
export interface ClusterState {
  at: string;
  /** The node that it goes back to unless something binds it elsewhere; null: it is sticky. */
  home: string | null;
  constraints: readonly string[];
  /** Moves end in an error, after the constraint was made. */
  failsToMove: boolean;
}

/**
 * A cluster of Pacemaker whose nodes are `lb1` and `node-b`, as its `pcs` shows it. The double is strict: arguments that the real one
 * does not know end with its status 1. pcs 0.10 leaves the constraint of a move behind; 0.11 takes it back unless the move fails, and
 * moves only what would stay.
 */
export function clusterOf(version: '0.10' | '0.11', more: Partial<ClusterState> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'state.json');
  const state: ClusterState = { at: 'lb1', home: null, constraints: [], failsToMove: false, ...more };
  writeFileSync(file, JSON.stringify(state));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const [name, program] of Object.entries({ pcs, ip: ipDouble })) {
    writeFileSync(join(bin, name), `#!${process.execPath}\n${program}`);
    chmodSync(join(bin, name), 0o755);
  }
  const calls: string[] = [];
  return {
    calls,
    state: (): ClusterState => JSON.parse(readFileSync(file, 'utf8')),
    transport: {
      async run({ name }: Host, { script }: NodeCommand) {
        calls.push(name);
        const { status, stdout, stderr } = spawnSync('sh', ['-c', `set -eu\n${script}`], {
          encoding: 'utf8',
          env: {
            PATH: `${bin}:${process.env.PATH}`,
            STATE: file,
            VERSION: version,
            MACHINE: name === 'lb2' ? 'node-b' : name,
            IP: ip,
          },
        });
        return { status: status ?? -1, stdout, stderr };
      },
    },
  };
}

const ipDouble = `
const { at } = JSON.parse(require('fs').readFileSync(process.env.STATE, 'utf8'));
if (process.argv.slice(2).join(' ') !== \`-o -4 addr show to \${process.env.IP}\`) process.exit(255);
if (at === process.env.MACHINE) console.log(\`2: eth0    inet \${process.env.IP}/24 scope global secondary eth0\`);
`;

const pcs = `
const fs = require('fs');
const state = JSON.parse(fs.readFileSync(process.env.STATE, 'utf8'));
const words = process.argv.slice(2);
const nodes = ['lb1', 'node-b'];
const end = (text, status = 1) => {
  fs.writeFileSync(process.env.STATE, JSON.stringify(state));
  console.error(text);
  process.exit(status);
};
const settle = () => {
  if (state.constraints.includes('cli-prefer-vip')) return;
  if (state.home !== null) state.at = state.home;
};
const verbs = {
  'resource move'(resource, to, wait) {
    if (resource !== 'vip') end(\`Error: resource/clone/master/group/bundle '\${resource}' does not exist\`);
    if (!nodes.includes(to)) end(\`Error: Node '\${to}' does not appear to exist in configuration\`);
    if (!/^--wait=\\d+$/.test(wait)) end('Usage: pcs resource move...');
    state.constraints = [...state.constraints.filter((id) => id !== 'cli-prefer-vip'), 'cli-prefer-vip'];
    if (state.failsToMove) end('Error: resource vip could not be started');
    const strays = process.env.VERSION === '0.11' && state.home !== null && state.home !== to;
    if (strays) end('Error: Unable to ensure that moved resources will stay on the same node after a constraint is removed');
    state.at = to;
    if (process.env.VERSION === '0.11') state.constraints = state.constraints.filter((id) => id !== 'cli-prefer-vip');
    end('', 0);
  },
  'resource clear'(resource, node) {
    if (resource !== 'vip' || !nodes.includes(node)) end('Usage: pcs resource clear...');
    state.constraints = state.constraints.filter((id) => id !== 'cli-prefer-vip' && id !== \`cli-ban-vip-on-\${node}\`);
    settle();
    end('', 0);
  },
};
if (words.join(' ') === 'constraint --full') {
  console.log('Location Constraints:\\n  Resource: vip');
  for (const id of state.constraints) console.log(\`    Enabled on: Node: somewhere (score:INFINITY) (role:Started) (id:\${id})\`);
  console.log('Ordering Constraints:\\nColocation Constraints:\\nTicket Constraints:');
} else {
  const verb = verbs[words.slice(0, 2).join(' ')];
  if (!verb || words.length > 5) end('Usage: pcs [-f file] [-h] [commands]...');
  verb(...words.slice(2));
}
`;
