import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Lab } from './lab.ts';
import { deployUser, type LabNode, sshPort } from './nodes.ts';

/** Runs a script on a node as the deploy user, by the ordinary ssh. Resolves to its output; rejects unless it ends with 0. */
export async function onNode(
  { home }: Pick<Lab, 'home'>,
  { address }: LabNode,
  script: string,
): Promise<string> {
  const options = ['BatchMode=yes', `UserKnownHostsFile=${join(home, '.ssh/known_hosts')}`].flatMap((o) => [
    '-o',
    o,
  ]);
  const key = join(home, '.ssh/id_ed25519');
  const words = ['-F', 'none', ...options, '-i', key, '-p', String(sshPort), `${deployUser.name}@${address}`];
  const child = spawn('ssh', [...words, script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (status !== 0) throw new Error(`${script}\nended with ${status}: ${stderr}`);
  return stdout;
}
