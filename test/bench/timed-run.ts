import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface TimedRun {
  readonly seconds: number;
  /** Of the program and all that it started here: user and system time, and the most memory that one of them had. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly stdout: string;
}

export interface Place {
  readonly cwd: string;
  readonly home: string;
}

const timeoutMs = 180_000;

/** Runs a program to its end. Rejects with all that it wrote unless it ends with 0, within three minutes. */
export async function timedRun(command: readonly string[], { cwd, home }: Place): Promise<TimedRun> {
  const usage = join(cwd, 'usage');
  const startMs = performance.now();
  const child = spawn('/usr/bin/time', ['-f', '%U %S %M', '-o', usage, ...command], {
    cwd,
    env: { PATH: process.env.PATH, HOME: home, USER: 'bench', LANG: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const deadline = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), timeoutMs);
  const output = [text(child.stdout), text(child.stderr)] as const;
  const [status] = await once(child, 'exit');
  const seconds = (performance.now() - startMs) / 1000;
  const [stdout, stderr] = await Promise.all(output);
  clearTimeout(deadline);
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  const [user = 0, system = 0, kilobytes = 0] = (await readFile(usage, 'utf8')).trim().split(' ').map(Number);
  return { seconds, cpuSeconds: user + system, peakBytes: kilobytes * 1024, stdout };
}
