import type { Readable } from 'node:stream';
import type { Remote } from './remote.ts';

/** Where a git command runs, and how it ends early. */
export interface GitPlace {
  readonly cwd: string;
  /** The repository itself, so that git looks for none in the directories above. */
  readonly gitDir?: string;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Runs git and gives its standard output. Rejects with what git said, if it ended with another status than 0. */
export type Git = (args: readonly string[], place: GitPlace) => Promise<string>;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * git as the user configured it in files. Its variables are not inherited, for one of them can switch off the checking
 * of host keys or certificates unseen (simple-git refuses most of them, too). It never asks at the terminal.
 */
export const gitRunner =
  (env: Environment, remote: Remote): Git =>
  async (args, { cwd, gitDir, input, signal }) => {
    const { GitPluginError, simpleGit } = await import('simple-git');
    const own = { ...remote.env, ...gitEnv(gitDir) };
    const git = simpleGit({
      baseDir: cwd,
      config: backgroundWorkOff,
      allowEnvironment: Object.keys(own),
      unsafe: { allowUnsafeConfigEnvCount: 'GIT_CONFIG_COUNT' in own },
      errors: (error, { exitCode, stdErr }) => {
        if (exitCode === 0 || error instanceof GitPluginError) return error;
        return Buffer.from(said(Buffer.concat(stdErr).toString(), exitCode));
      },
      ...(signal ? { abort: signal } : {}),
      ...(input === undefined ? {} : { input: () => input }),
    });
    return git.env({ ...withoutGit(env), ...own }).raw([...args]);
  };

/** A collection of garbage that goes on by itself would write to a directory that may be gone. */
const backgroundWorkOff = ['gc.autoDetach=false', 'maintenance.autoDetach=false'];

const gitEnv = (gitDir: string | undefined): Record<string, string> => ({
  GIT_TERMINAL_PROMPT: '0',
  ...(gitDir === undefined ? {} : { GIT_DIR: gitDir }),
});

/** The variables that simple-git refuses or drops. */
const withoutGit = (env: Environment): Environment =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !guarded.test(name)));
const guarded = /^(git_.*|editor|visual|pager|prefix|ssh_askpass)$/i;

const said = (stderr: string, status: number): string =>
  /spawn git ENOENT/.test(stderr)
    ? 'git is not installed'
    : stderr.trim() || `git ended with status ${status}`;

/** Runs git with its output as a stream, which simple-git would hold in memory. `ended` never rejects. */
export async function gitStream(
  env: Environment,
  args: readonly string[],
  { cwd, gitDir, signal }: GitPlace,
): Promise<{
  readonly stdout: Readable;
  readonly ended: Promise<{ ok: boolean; said: string }>;
  kill(): void;
}> {
  const { execa } = await import('execa');
  const child = execa('git', args, {
    cwd,
    env: { ...withoutGit(env), ...gitEnv(gitDir) },
    extendEnv: false,
    stdin: 'ignore',
    buffer: { stdout: false },
    reject: false,
    ...(signal ? { cancelSignal: signal } : {}),
  });
  const ended = child.then(({ failed, stderr, shortMessage }) => ({
    ok: !failed,
    said: stderr.trim() || (shortMessage ?? ''),
  }));
  return { stdout: child.stdout, ended, kill: () => void child.kill() };
}
