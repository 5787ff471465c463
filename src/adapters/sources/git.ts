import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { failure, isDeployError, messageOf } from '../../core/errors.ts';
import { isRevision, type Revision } from '../../core/release.ts';
import { Secret } from '../../core/secret.ts';
import type { GitSource } from '../../core/site.ts';
import type { BuildOptions, Built, Comparison, Source } from '../../ports.ts';
import { shownCommand } from '../child.ts';
import { redactor } from '../redact.ts';
import { revealed } from '../revealed.ts';
import { archiveEntries } from './archive.ts';
import { ownFiles, pack } from './artifact.ts';
import { buildFailure, runBuildCommand } from './build-command.ts';
import { type Checkout, checkOut, checkoutEntries } from './checkout.ts';
import { excluder } from './exclude.ts';
import { type Environment, type Git, gitRunner } from './git-process.ts';
import { buildPrefix, sweepBuilds } from './leftovers.ts';
import { type ManifestCache, manifestCache } from './manifest-cache.ts';
import { type Mirror, mirrorOf } from './mirror.ts';
import { parcels } from './parcels.ts';
import { type Remote, remoteOf } from './remote.ts';
import { spoolTree } from './spooled-tree.ts';
import type { Entry } from './tar.ts';

export interface GitSourceOptions {
  /** Holds the mirrors, and what earlier builds were; made if it is missing. */
  readonly cacheDir: string;
  /** Paths that a release links to what outlives it: no part of a build. */
  readonly linked: readonly string[];
  /** The environment of git and of build commands. */
  readonly env: Environment;
}

/**
 * Revisions of a git repository, through a mirror in `cacheDir`.
 *
 * A name is a full commit, a tag, a branch or an abbreviated commit, in this order: as in git itself, a tag goes before
 * a branch of the same name. A commit without build commands and submodules is packed straight from the mirror; else it
 * is checked out first. Both leave out what the attribute `export-ignore` says. A build is known file by file, unless a
 * name in it could not stand in a manifest.
 */
export function gitSource(settings: GitSource, options: GitSourceOptions): Source {
  const source = toWork(settings, options);
  return {
    resolve: (ref, signal) => resolve(source, ref, signal),
    compare: (from, to) => compare(source, from, to),
    build: ({ revision }, buildOptions) => build(source, revision, buildOptions),
    describe: () => describe(source),
  };
}

/** All that the questions to one source share. */
interface Work {
  readonly settings: GitSource;
  readonly env: Environment;
  readonly remote: Remote;
  /** The address as messages show it. */
  readonly url: string;
  readonly git: Git;
  readonly mirror: Mirror;
  readonly manifests: ManifestCache;
  readonly leftOut: readonly string[];
  readonly redact: (text: string) => string;
}

function toWork(settings: GitSource, { cacheDir, env, linked }: GitSourceOptions): Work {
  const remote = remoteOf(settings.url);
  const git = gitRunner(env, remote);
  const secrets = Object.values(settings.env).flatMap((value) =>
    value instanceof Secret ? [value.reveal()] : [],
  );
  const redact = redactor([...remote.secrets, ...secrets]);
  return {
    settings,
    env,
    remote,
    url: redact(remote.url),
    git,
    mirror: mirrorOf(remote, { cacheDir, run: git }),
    manifests: manifestCache(join(cacheDir, 'manifests')),
    leftOut: [...settings.exclude, ...linked, ...ownFiles],
    redact,
  };
}

async function resolve(work: Work, ref: string, signal?: AbortSignal): Promise<Revision> {
  const unknown = () =>
    failure('REF_UNKNOWN', { ref: work.redact(ref.replace(controls, '?')), url: work.url });
  if (ref === '' || ref.startsWith('-') || ref.search(controls) >= 0) throw unknown();
  const revision = await reading(work, signal, async (limit) => {
    const { mirror } = work;
    const known = isRevision(ref) ? await mirror.find(ref, limit).catch(() => null) : null;
    if (known !== null) return known;
    await mirror.refresh(limit);
    const found = await mirror.find(ref, limit);
    if (found !== null || !isRevision(ref)) return found;
    // A server that refuses to give it says no more than that it is not there.
    await mirror.fetchCommit(ref, limit).catch(() => undefined);
    return mirror.find(ref, limit);
  });
  if (revision === null) throw unknown();
  return revision;
}

const controls = /\p{Cc}/gu;

/** Bounds the time, and makes what git says an error without secrets; its cause would hold them. */
async function reading<T>(
  { settings: { timeoutMs }, url, redact }: Work,
  signal: AbortSignal | undefined,
  read: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = limited(timeoutMs, signal);
  try {
    const result = await read(limit);
    limit.throwIfAborted();
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    const reason = limit.aborted ? `it took longer than ${timeoutMs} ms.` : oneLine(redact(messageOf(error)));
    throw failure('SOURCE_UNREACHABLE', { url, reason });
  }
}

const limited = (timeoutMs: number, signal: AbortSignal | undefined): AbortSignal =>
  AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);

const oneLine = (text: string): string => text.trim().replace(/\s+/g, ' ');

async function compare(work: Work, from: Revision, to: Revision): Promise<Comparison> {
  await resolve(work, from);
  await resolve(work, to);
  return reading(work, undefined, async (signal) => {
    const [log, behind] = await Promise.all([
      work.mirror.git(
        ['log', `--max-count=${commitsMax}`, '--no-show-signature', logFormat, `${from}..${to}`],
        { signal },
      ),
      work.mirror.git(['rev-list', '--count', `${to}..${from}`], { signal }),
    ]);
    return {
      commits: log
        .split('\n')
        .filter((line) => line !== '')
        .map(toCommit),
      behind: Number(behind),
    };
  });
}

const commitsMax = 50;
const logFormat = '--format=%H%x00%an%x00%s';

/** Whoever made the commit chose these words; they must not be able to steer a terminal. */
function toCommit(line: string): Comparison['commits'][number] {
  const [revision = '', author = '', subject = ''] = line
    .split('\0')
    .map((field) => field.replace(controls, '?'));
  return { revision, author, subject };
}

async function build(work: Work, revision: Revision, { signal, onLine }: BuildOptions): Promise<Built> {
  await resolve(work, revision, signal);
  const { settings, redact } = work;
  const limit = limited(settings.timeoutMs, signal);
  await sweepBuilds(Date.now());
  const temporary = await mkdtemp(join(tmpdir(), buildPrefix));
  try {
    const artifact = await packed(work, {
      revision,
      temporary,
      signal: limit,
      runSignal: signal,
      onLine: onLine ?? ignore,
    });
    limit.throwIfAborted();
    return artifact;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    signal?.throwIfAborted();
    if (isDeployError(error)) throw error;
    if (limit.aborted) throw buildFailure(`pack ${revision}`, `a timeout of ${settings.timeoutMs} ms`, '');
    throw buildFailure(`pack ${revision}`, 'an error', redact(messageOf(error)));
  }
}

const ignore = (): void => undefined;

interface Job {
  readonly revision: Revision;
  /** A directory of this job alone. */
  readonly temporary: string;
  /** With the time that a build may take. */
  readonly signal: AbortSignal;
  readonly runSignal: AbortSignal | undefined;
  readonly onLine: (line: string) => void;
}

async function packed(work: Work, job: Job): Promise<Built> {
  const { settings, env, mirror, manifests, leftOut } = work;
  const { revision, temporary, signal, runSignal } = job;
  const directory = posix.join(settings.directory, '.').replace(/(?<=.)\/$/, '');
  const commit = await look(mirror, { revision, directory, signal });
  const submodules = settings.submodules && commit.submodules;
  const plain = settings.build.length === 0 && !submodules;
  const absent = () =>
    buildFailure(
      `pack ${directory}`,
      'nothing to pack',
      `${revision} has no directory ${directory} with files in it.`,
    );
  if (plain && !commit.directory) throw absent();
  const entries = plain
    ? archiveEntries({ gitDir: mirror.directory, env, revision, directory, signal })
    : checkoutEntries(await built(work, { ...job, submodules }), directory);
  if (entries === null) throw absent();
  const tree = await spoolTree(without(entries, leftOut), { file: join(temporary, 'contents'), signal });
  await rm(join(temporary, checkoutName), { recursive: true, force: true });
  const [{ manifest, content }, { timeSeconds }] = [tree, commit];
  if (manifest === null)
    return pack(tree.entries(), { file: join(temporary, 'release.tar.gz'), revision, timeSeconds });
  if (manifest.length === 0) throw absent();
  const image = await manifests.keep(manifest);
  return parcels({
    image,
    manifest,
    timeSeconds,
    content,
    known: manifests.find,
    contents: () => ({ from: 'parcel' }),
    folder: temporary,
    signal: runSignal,
  });
}

async function* without(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  patterns: readonly string[],
): AsyncGenerator<Entry> {
  const excluded = excluder(patterns);
  for await (const entry of entries) if (!excluded(entry.path)) yield entry;
}

const checkoutName = 'checkout';

/** What the way of packing depends on, from two processes at once. */
async function look(
  { git }: Mirror,
  { revision, directory, signal }: { revision: Revision; directory: string; signal: AbortSignal },
): Promise<{ timeSeconds: number; submodules: boolean; directory: boolean }> {
  const input = `${revision}:.gitmodules\n${revision}:${directory === '.' ? '' : directory}\n`;
  const [time, types] = await Promise.all([
    git(['log', '--max-count=1', '--no-show-signature', '--format=%ct', revision], { signal }),
    git(['cat-file', '--batch-check=%(objecttype)'], { input, signal }),
  ]);
  const [modules, tree] = types.split('\n');
  return { timeSeconds: Number(time), submodules: modules === 'blob', directory: tree === 'tree' };
}

/** A checkout in which the build commands were run. */
async function built(work: Work, job: Job & { readonly submodules: boolean }): Promise<Checkout> {
  const { settings, env, git, remote, mirror, redact } = work;
  const { revision, submodules, signal, temporary } = job;
  const directory = join(temporary, checkoutName);
  const options = { git, mirror: mirror.directory, url: remote.url, revision, submodules, directory, signal };
  const checkout = await checkOut(options).catch((error: unknown) => {
    signal.throwIfAborted();
    throw buildFailure(`check out ${revision}`, 'an error', redact(messageOf(error)));
  });
  for (const command of settings.build) {
    await runBuildCommand({
      command,
      directory,
      env: { ...env, ...revealed(settings.env) },
      timeoutMs: settings.timeoutMs,
      signal,
      redact,
      onLine: job.onLine,
    });
  }
  return checkout;
}

function describe({ settings, url, redact }: Work): readonly string[] {
  const { build: commands, submodules, directory, exclude } = settings;
  return [
    `check out ${url}${submodules ? ' with its submodules' : ''}`,
    ...commands.map((command) => redact(shownCommand(command))),
    `pack ${directory === '.' ? 'the checkout' : directory}${exclude.length > 0 ? ` without ${exclude.join(', ')}` : ''}`,
  ];
}
