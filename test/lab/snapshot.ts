import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Everything below a folder: for each path its kind, owner, mode, time of change, and what is in it. */
export async function treeOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const paths = ['.', ...(await readdir(folder, { recursive: true }))].sort();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await describe(join(folder, path))] as const)),
  );
}

async function describe(path: string): Promise<string> {
  const stat = await lstat(path);
  const head = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.mtimeMs}`;
  if (stat.isSymbolicLink()) return `${head} -> ${await readlink(path)}`;
  return stat.isFile() ? `${head} ${await readFile(path, 'base64')}` : head;
}
