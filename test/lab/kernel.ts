import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Boots a Linux kernel as an ordinary process (user-mode Linux), with this machine's files as its own, and runs a
 * TypeScript program of the lab in it as root: what the machine's kernel lacks, such as NFS, is there. Resolves to
 * what the program wrote to the file that its first argument names. Whatever happens, the kernel is gone at the end.
 */
export async function inKernel(program: string, { timeoutMs, modules }: KernelOptions): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-kernel-'));
  const path = (name: string): string => join(folder, name);
  try {
    await writeFile(path('init'), initScript(modules));
    await chmod(path('init'), 0o755);
    await writeFile(
      path('run'),
      [process.execPath, '--import', 'jiti/register', join(lab, program), path('result')].join('\n'),
    );
    const kernel = spawn(
      'linux.uml',
      [
        'mem=1G',
        'root=/dev/root',
        'rootfstype=hostfs',
        'rootflags=/',
        'rw',
        `init=${path('init')}`,
        'con=null',
        'con0=null,fd:1',
      ],
      { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'], detached: true },
    );
    const deadline = setTimeout(() => process.kill(-kernel.pid!, 'SIGKILL'), timeoutMs);
    await once(kernel, 'exit');
    clearTimeout(deadline);
    const result = await readFile(path('result'), 'utf8').catch(() => '');
    if (result === '') {
      const log = await readFile(path('log'), 'utf8').catch(() => 'it did not boot');
      throw new Error(`the kernel ended without a result:\n${log}`);
    }
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

/** The first process. */
const initScript = (modules: readonly string[]): string => `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
folder=\${0%/*}
exec > "$folder/log" 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
modules=/run/kernel/lib/modules/$(uname -r)
mkdir -p "$modules"
mount --bind "/usr/lib/uml/modules/$(uname -r)" "$modules"
for module in ${modules.join(' ')}; do modprobe -d /run/kernel "$module"; done
# There is no network, so no name server to wait for.
mount --bind /dev/null /etc/resolv.conf
hostname lab
ip link set lo up
export HOME=/root CI=true
cd ${root}
xargs -d '\\n' -a "$folder/run" env
poweroff -f
`;
