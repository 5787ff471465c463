import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Fence } from '../../src/commands/fenced.ts';
import { strictCommand } from '../../src/commands/shell.ts';
import type { NodeCommand } from '../../src/core/command.ts';
import type { Site } from '../../src/core/site.ts';
import { site } from '../core/fleet.ts';

export interface Ran<R> {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly result: R;
}

/** A `deployTo` of its own in a temporary folder, and the commands run in it by this machine's `sh`. */
export function nodeFolder(more: Partial<Site> = {}) {
  const dir = join(mkdtempSync(join(tmpdir(), 'sluice-node-')), 'shop');
  onTestFinished(() => {
    spawnSync('chmod', ['-R', 'u+w', dirname(dir)]);
    rmSync(dirname(dir), { recursive: true, force: true });
  });
  const path = (...parts: readonly string[]): string => join(dir, ...parts);
  return {
    dir,
    site: site(1, { deployTo: dir, ...more }),
    fence: (run = 'run-1', lines: Partial<Fence> = {}): Fence => ({
      deployTo: dir,
      run,
      marks: [],
      before: [],
      after: [],
      ...lines,
    }),
    run<R>(command: NodeCommand<R>, stdin?: Uint8Array): Ran<R> {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', strictCommand(command.script, null)], {
        input: stdin ?? '',
        encoding: 'utf8',
      });
      return {
        status: status ?? -1,
        stdout,
        stderr,
        get result() {
          return command.parse(stdout);
        },
      };
    },
    /** Begins a command, and resolves to its exit status once it ends. */
    async start(command: NodeCommand): Promise<number> {
      const child = spawn('sh', ['-c', strictCommand(command.script, null)], { stdio: 'ignore' });
      return (await once(child, 'exit'))[0];
    },
    write(file: string, text: string): void {
      mkdirSync(dirname(path(file)), { recursive: true });
      writeFileSync(path(file), text);
    },
    mkdir: (folder: string): string | undefined => mkdirSync(path(folder), { recursive: true }),
    symlink: (to: string, link: string): void => symlinkSync(to, path(link)),
    read: (file: string): string => readFileSync(path(file), 'utf8'),
    readlink: (file: string): string => readlinkSync(path(file)),
    isLink: (file: string): boolean => lstatSync(path(file)).isSymbolicLink(),
    exists: (file: string): boolean => existsSync(path(file)),
    list: (folder: string): readonly string[] =>
      existsSync(path(folder)) ? readdirSync(path(folder)).sort() : [],
    chmod: (file: string, mode: number): void => chmodSync(path(file), mode),
  };
}

/** A packed build with these files, and its digest. */
export function artifact(files: Readonly<Record<string, string>>): {
  readonly bytes: Buffer;
  readonly digest: string;
} {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-artifact-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), text);
    }
    const { stdout: bytes } = spawnSync('tar', ['-czf', '-', '-C', dir, '.'], { maxBuffer: 1 << 26 });
    const { stdout } = spawnSync('sha256sum', { input: bytes, encoding: 'utf8' });
    return { bytes, digest: stdout.split(' ')[0]! };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
