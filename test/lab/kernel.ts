import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { words } from '../../src/commands/shell.ts';

/**
 * Boots a Linux kernel as an ordinary process (user-mode Linux), with this machine's files as its own, and runs a
 * TypeScript program of the lab in it as root: what the machine's kernel lacks, such as NFS, is there. Resolves to
 * what the program wrote to the file that its first argument names. Whatever happens, the kernel is gone at the end.
 */
export async function inKernel(program: string, { timeoutMs, modules }: KernelOptions): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-kernel-'));
  const path = (name: string): string => join(folder, name);
  try {
    const kernel = await bootKernel({
      folder,
      memory: '1G',
      modules,
      script: `
        export HOME=/root CI=true
        cd ${root}
        ${words(process.execPath, '--import', 'jiti/register', join(lab, program), path('result'))}
      `,
    });
    const deadline = setTimeout(() => process.kill(-kernel.pid!, 'SIGKILL'), timeoutMs);
    await once(kernel, 'exit');
    clearTimeout(deadline);
    const result = await readFile(path('result'), 'utf8').catch(() => '');
    if (result === '') throw new Error(`the kernel ended without a result:\n${await kernelLog(folder)}`);
    return JSON.parse(result);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface KernelOptions {
  readonly timeoutMs: number;
  /** Modules of the kernel to load. */
  readonly modules: readonly string[];
}

const lab = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface BootOptions extends Pick<KernelOptions, 'modules'> {
  /** An empty one, for what belongs to the kernel. */
  readonly folder: string;
  readonly memory: string;
  /** What it runs once it is up, and ends with. */
  readonly script: string;
  /** Of its own command line, such as its network devices. */
  readonly parameters?: readonly string[];
}

/** Boots a kernel whose /run and /mnt are its own, and empty. It leads a group of processes. */
export async function bootKernel({
  folder,
  memory,
  modules,
  script,
  parameters = [],
}: BootOptions): Promise<ChildProcess> {
  const init = join(folder, 'init');
  await writeFile(init, initScript(modules, script));
  await chmod(init, 0o755);
  const files = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw', `init=${init}`];
  const consoles = ['con=null', 'con0=null,fd:1'];
  return spawn('linux.uml', [`mem=${memory}`, ...files, ...consoles, ...parameters], {
    cwd: folder,
    stdio: 'ignore',
    detached: true,
  });
}

/** What its script and all before it printed. */
export const kernelLog = (folder: string): Promise<string> =>
  readFile(join(folder, 'log'), 'utf8').catch(() => 'it did not boot');

/** The first process. */
const initScript = (modules: readonly string[], script: string): string => `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec > "\${0%/*}/log" 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
modules=/run/kernel/lib/modules/$(uname -r)
mkdir -p "$modules"
mount --bind "/usr/lib/uml/modules/$(uname -r)" "$modules"
for module in ${modules.join(' ')}; do modprobe -d /run/kernel "$module"; done
# There is no name server, so none is waited for.
mount --bind /dev/null /etc/resolv.conf
hostname lab
ip link set lo up
${script}
poweroff -f
`;
