import type { Header } from 'tar-stream';
import { type Environment, gitStream } from './git-process.ts';
import { type Entry, plainMode } from './tar.ts';

/** Which part of which commit, in which repository. */
export interface ArchiveOptions {
  readonly gitDir: string;
  readonly env: Environment;
  readonly revision: string;
  /** '.' for all of it. */
  readonly directory: string;
  readonly signal: AbortSignal | undefined;
}

/** The tree of a commit as `git archive` gives it, without a checkout: paths start below `directory`. */
export async function* archiveEntries(options: ArchiveOptions): AsyncGenerator<Entry> {
  const { gitDir, env, revision, directory, signal } = options;
  const { extract } = await import('tar-stream');
  const part = directory === '.' ? [] : ['--', `:(top,literal)${directory}`];
  const git = await gitStream(env, ['archive', '--format=tar', revision, ...part], {
    cwd: gitDir,
    gitDir,
    signal,
  });
  const reader = extract();
  git.stdout.on('error', () => reader.destroy()).pipe(reader);
  try {
    for await (const item of reader) {
      const path = below(directory, item.header.name.replace(/\/$/, ''));
      const entry = path === null ? null : toEntry(path, item.header, item as AsyncIterable<Uint8Array>);
      if (entry) yield entry;
      // An entry must be read to its end before the next one comes.
      item.resume();
    }
    const { ok, said } = await git.ended;
    if (!ok) throw new Error(said);
  } catch (error) {
    // An archive that breaks off says nothing of why; git does.
    git.kill();
    throw new Error((await git.ended).said, { cause: error });
  } finally {
    git.kill();
  }
}

/** The path from `directory` down; null for the directory itself and for those above it. */
function below(directory: string, path: string): string | null {
  if (directory === '.') return path;
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : null;
}

/** A commit holds nothing but files, directories and links; anything else in the archive is about the archive. */
function toEntry(path: string, header: Header, content: AsyncIterable<Uint8Array>): Entry | null {
  const { type, mode, size, linkname } = header;
  if (type === 'directory') return { path, kind: 'directory' };
  if (type === 'symlink') return { path, kind: 'link', target: linkname };
  if (type !== 'file') return null;
  return { path, kind: 'file', mode: plainMode(mode), bytes: size, content };
}
