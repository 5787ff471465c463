import { readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How the folder of a build is named, in the system's folder for temporary files. */
export const buildPrefix = 'sluice-build-';

/** Removes the folders of builds that were killed a day ago or more: nothing else would. What cannot be removed stays. */
export async function sweepBuilds(nowMs: number): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(buildPrefix));
  await Promise.allSettled(
    names.map(async (name) => {
      const folder = join(tmpdir(), name);
      if (nowMs - (await stat(folder)).mtimeMs > dayMs) await rm(folder, { recursive: true, force: true });
    }),
  );
}

const dayMs = 24 * 60 * 60_000;
