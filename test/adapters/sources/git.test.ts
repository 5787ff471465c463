import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gitSource } from '../../../src/adapters/sources/git.ts';
import { type DeployError, isDeployError } from '../../../src/core/errors.ts';
import type { Revision } from '../../../src/core/release.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { GitSource } from '../../../src/core/site.ts';
import type { Built, Source } from '../../../src/ports.ts';
import { receivingNode } from '../../commands/receiving-node.ts';
import { read, releaseOf, sourceContract, whole } from '../../contracts/source.ts';
import { isAlive } from '../process-state.ts';

let top: string;
let repository: Repository;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'git-source-'));
  await writeFile(join(top, '.gitconfig'), gitConfig);
  repository = await makeRepository('site');
});

afterEach(() => rm(top, { recursive: true, force: true }));

const gitConfig = '[user]\n  name = Ada\n  email = ada@example.org\n[init]\n  defaultBranch = main\n';
const environment = () => ({ PATH: process.env.PATH, HOME: top });

const settingsOf = (more: Partial<GitSource>): GitSource => ({
  kind: 'git',
  url: repository.directory,
  ref: 'main',
  directory: '.',
  submodules: true,
  build: [],
  env: {},
  exclude: [],
  timeoutMs: 15_000,
  ...more,
});

const sourceOf = (more: Partial<GitSource> = {}, env: Record<string, string> = {}, cache = 'cache'): Source =>
  gitSource(settingsOf(more), {
    cacheDir: join(top, cache),
    env: { ...environment(), ...env },
    linked: ['media'],
  });

sourceContract('git', async () => ({
  source: sourceOf(),
  tip: 'main',
  first: await repository.commit({ 'index.php': 'one' }),
  second: await repository.commit({ 'index.php': 'two' }),
  advance: () => repository.commit({ 'index.php': 'three' }),
}));

describe('a ref', () => {
  test('that is an annotated tag is the commit of the tag', async () => {
    const commit = await repository.commit({ a: '1' });
    repository.git('tag', '-a', 'v1', '-m', 'the first');
    await repository.commit({ a: '2' });
    expect(await sourceOf().resolve('v1')).toBe(commit);
  });

  test('of a tag of a tag is the commit at the end', async () => {
    const commit = await repository.commit({ a: '1' });
    repository.git('tag', '-a', 'inner', '-m', 'x');
    repository.git('tag', '-a', 'outer', '-m', 'y', 'inner');
    expect(await sourceOf().resolve('outer')).toBe(commit);
  });

  test('that is both a tag and a branch is the tag, unless it is written in full', async () => {
    const tagged = await repository.commit({ a: '1' });
    repository.git('tag', 'both');
    const newer = await repository.commit({ a: '2' });
    repository.git('branch', 'both');
    expect(await sourceOf().resolve('both')).toBe(tagged);
    expect(await sourceOf().resolve('refs/heads/both')).toBe(newer);
  });

  test('that is an abbreviated commit is the whole of it', async () => {
    const commit = await repository.commit({ a: '1' });
    expect(await sourceOf().resolve(commit.slice(0, 8))).toBe(commit);
  });

  test('of a branch with a slash in its name is that branch, also after it took the place of another', async () => {
    const commit = await repository.commit({ a: '1' });
    repository.git('branch', 'topic');
    const source = sourceOf();
    expect(await source.resolve('topic')).toBe(commit);
    repository.git('branch', '-m', 'topic', 'topic/one');
    expect(await source.resolve('topic/one')).toBe(commit);
    await expect(source.resolve('topic')).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });

  test('of a tag that was moved is where it is now', async () => {
    await repository.commit({ a: '1' });
    repository.git('tag', 'live');
    const source = sourceOf();
    await source.resolve('live');
    const moved = await repository.commit({ a: '2' });
    repository.git('tag', '--force', 'live');
    expect(await source.resolve('live')).toBe(moved);
  });

  test('that is a commit which no branch leads to is found by asking for it', async () => {
    await repository.commit({ a: '1' });
    const source = sourceOf();
    await source.resolve('main');
    const hidden = await repository.commit({ a: '2' });
    repository.git('update-ref', 'refs/pull/1/head', hidden);
    repository.git('reset', '--hard', 'HEAD~1');
    expect(await source.resolve(hidden)).toBe(hidden);
  });

  test.each([
    '',
    '-main',
    '--upload-pack=touch /tmp/x',
    'ma\nin',
    'a\0b',
    'main:file',
    'main..main',
    'HEAD~9',
  ])('%j is unknown, not an option or an expression', async (ref) => {
    await repository.commit({ file: '1' });
    await expect(sourceOf().resolve(ref)).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });

  test('that is a full commit needs no repository once it is in the mirror', async () => {
    const commit = await repository.commit({ a: '1' });
    await sourceOf().resolve('main');
    const settings = settingsOf({});
    await rm(repository.directory, { recursive: true });
    const source = gitSource(settings, { cacheDir: join(top, 'cache'), env: environment(), linked: [] });
    expect(await source.resolve(commit)).toBe(commit);
    await expect(source.resolve('main')).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
  });
});

test('variables that steer git by hand do not get in the way', async () => {
  const commit = await repository.commit({ a: '1' });
  const env = {
    EDITOR: 'vi',
    PAGER: 'less',
    GIT_DIR: '/nowhere',
    GIT_CONFIG_COUNT: '1',
    GIT_SSH_COMMAND: 'false',
  };
  const source = sourceOf({ build: [['true']] }, env);
  expect(await source.resolve('main')).toBe(commit);
  await (await source.build(releaseOf(commit), {})).discard();
});

describe('comparing', () => {
  test('gives author and subject, newest first, and nothing that steers a terminal', async () => {
    const from = await repository.commit({ a: '1' });
    await repository.commit({ a: '2' }, 'second');
    const to = await repository.commit({ a: '3' }, 'third \u001b[31mred');
    const { commits } = await sourceOf().compare(from, to);
    expect(commits).toEqual([
      { revision: to, author: 'Ada', subject: 'third ?[31mred' },
      { revision: expect.any(String), author: 'Ada', subject: 'second' },
    ]);
  });

  test('across branches counts what would be lost', async () => {
    await repository.commit({ a: '1' });
    repository.git('checkout', '-q', '-b', 'other');
    const to = await repository.commit({ b: '1' });
    repository.git('checkout', '-q', 'main');
    await repository.commit({ a: '2' });
    const from = await repository.commit({ a: '3' });
    const { commits, behind } = await sourceOf().compare(from, to);
    expect({ commits: commits.length, behind }).toEqual({ commits: 1, behind: 2 });
  });

  test('with a revision that nobody has is refused', async () => {
    const to = await repository.commit({ a: '1' });
    const gone = '0123456789012345678901234567890123456789' as Revision;
    await expect(sourceOf().compare(gone, to)).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });
});

describe('the mirror', () => {
  test('is made once by many at the same time', async () => {
    const commit = await repository.commit({ a: '1' });
    const sources = Array.from({ length: 6 }, () => sourceOf());
    expect(await Promise.all(sources.map((source) => source.resolve('main')))).toEqual(
      sources.map(() => commit),
    );
    // Its link, and the copy.
    expect(await readdir(join(top, 'cache', 'mirrors'))).toHaveLength(2);
  });

  test('is brought up to date by many at the same time', async () => {
    await repository.commit({ a: '1' });
    await sourceOf().resolve('main');
    for (let i = 0; i < 30; i++) repository.git('branch', `b${i}`);
    const commit = await repository.commit({ a: '2' });
    const sources = Array.from({ length: 6 }, () => sourceOf());
    expect(await Promise.all(sources.map((source) => source.resolve('main')))).toEqual(
      sources.map(() => commit),
    );
  });

  test.each([
    ['is only half there', async (mirror: string) => rm(join(mirror, 'HEAD'))],
    ['lost its objects', async (mirror: string) => rm(join(mirror, 'objects'), { recursive: true })],
    [
      'has the lock of a process that died',
      async (mirror: string) => writeFile(join(mirror, 'packed-refs.lock'), ''),
    ],
  ])('is made anew when it %s', async (_, damage) => {
    await repository.commit({ a: '1' });
    repository.git('branch', 'doomed');
    await sourceOf().resolve('main');
    await damage(mirrorOf());
    repository.git('branch', '-D', 'doomed');
    const commit = await repository.commit({ a: '2' });
    expect(await sourceOf().resolve('main')).toBe(commit);
    // Its link, and the copies of now and before.
    expect(await readdir(join(top, 'cache', 'mirrors'))).toHaveLength(3);
  });

  test('is never looked for in the directories above', async () => {
    await repository.commit({ a: '1' });
    await sourceOf().resolve('main');
    await rm(join(mirrorOf(), 'objects'), { recursive: true });
    const above = await makeRepository('.');
    above.git('commit', '--quiet', '--allow-empty', '--message', 'another');
    const commit = above.git('rev-parse', 'HEAD');
    await expect(sourceOf().resolve(commit)).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });

  const mirrorOf = () => {
    const mirrors = join(top, 'cache', 'mirrors');
    return join(mirrors, readdirSync(mirrors).find((name) => !name.includes('.'))!);
  };
});

describe('a repository that cannot be read', () => {
  test('is named with what git says', async () => {
    const url = join(top, 'nothing-here');
    const error = await failureOf(sourceOf({ url }).resolve('main'), 'SOURCE_UNREACHABLE');
    expect(error.message).toContain(`${url} could not be read: fatal:`);
  });

  test('for want of git is refused with these words', async () => {
    const error = await failureOf(sourceOf({}, { PATH: '/nowhere' }).resolve('main'), 'SOURCE_UNREACHABLE');
    expect(error.message).toContain('git is not installed');
  });

  test('is given up when the time is up', async () => {
    const server = await listening(createServer(() => undefined));
    const url = `http://127.0.0.1:${portOf(server)}/site.git`;
    const error = await failureOf(sourceOf({ url, timeoutMs: 400 }).resolve('main'), 'SOURCE_UNREACHABLE');
    expect(error.message).toContain('longer than 400 ms');
    server.closeAllConnections();
    server.close();
  });

  test('is given up when the run is aborted, with the reason', async () => {
    const server = await listening(createServer(() => undefined));
    const abort = new AbortController();
    const reason = new Error('stop');
    const resolving = sourceOf({ url: `http://127.0.0.1:${portOf(server)}/site.git` }).resolve(
      'main',
      abort.signal,
    );
    setTimeout(() => abort.abort(reason), 200);
    await expect(resolving).rejects.toBe(reason);
    server.closeAllConnections();
    server.close();
  });

  test('over ssh is reached by ssh as configured, not by a command from the environment', async () => {
    const marker = join(top, 'ran');
    const source = sourceOf(
      { url: 'ssh://127.0.0.1:1/site.git' },
      { GIT_SSH_COMMAND: `touch ${marker}; false` },
    );
    await expect(source.resolve('main')).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    expect(existsSync(marker)).toBe(false);
  });
});

describe('credentials in a URL', () => {
  test('let git in, and stand on no command line and in no file', async () => {
    const commit = await repository.commit({ a: '1' });
    const { server, seen } = await protectedServer();
    const source = sourceOf({ url: `http://deployer:S3NT1NEL%2Btoken@127.0.0.1:${portOf(server)}/.git` });
    expect(await source.resolve('main')).toBe(commit);
    server.close();
    expect(seen.authorized).toBeGreaterThan(0);
    expect(seen.commandLines).not.toBe('');
    expect(seen.commandLines).not.toContain('S3NT1NEL');
    expect(textOf(join(top, 'cache'))).not.toContain('S3NT1NEL');
    expect(source.describe().join()).not.toContain('S3NT1NEL');
  });

  test('that are refused stand in no error', async () => {
    await repository.commit({ a: '1' });
    const { server } = await protectedServer();
    const address = `127.0.0.1:${portOf(server)}/.git`;
    const source = sourceOf({ url: `http://deployer:S3NT1NEL-wrong@${address}` });
    const error = await failureOf(source.resolve('main'), 'SOURCE_UNREACHABLE');
    server.close();
    expect(error.message).toContain(`http://${address} could not be read`);
    expect(error.message).toContain('remote: not deployer:[secret]');
    expect(shownOf(error)).not.toContain('S3NT1NEL');
  });

  /** Serves the files of the repository to whoever knows the token, and notes the command lines of the moment. */
  async function protectedServer() {
    repository.git('update-server-info');
    const seen = { authorized: 0, commandLines: '' };
    const server = createServer(({ headers, url = '' }, response) => {
      seen.commandLines += commandLines();
      const token = Buffer.from(headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
      if (token !== 'deployer:S3NT1NEL+token') {
        return response.writeHead(403, { 'content-type': 'text/plain' }).end(`not ${token}`);
      }
      seen.authorized += 1;
      const file = join(repository.directory, new URL(url, 'http://x').pathname);
      if (!existsSync(file) || statSync(file).isDirectory()) return response.writeHead(404).end();
      response.end(readFileSync(file));
    });
    return { server: await listening(server), seen };
  }
});

describe('a node', () => {
  test('is sent what it lacks, by whoever deploys, and links the rest', async () => {
    const text = (n: number, version: string) => `${version}${n}`.repeat(200);
    const site = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`src/${n}.php`, text(n, 'a')]));
    const { folder, receive } = receivingNode();
    const first = await repository.commit({ ...site, 'media/.gitkeep': '' });
    const whole = await receive(sourceOf(), first);
    expect([whole.status, whole.stderr, whole.result.differs]).toEqual([0, '', []]);
    const release = (n: number, file: string) => `releases/2026010100000${n}/${file}`;
    for (const [n, cacheDir] of [
      [2, 'cache'],
      [3, 'elsewhere'],
    ] as const) {
      const revision = await repository.commit({ 'src/7.php': text(7, `b${n}`), [`new${n}`]: 'new' });
      const sent = await receive(sourceOf({}, {}, cacheDir), revision, n);
      expect([sent.status, sent.stderr, sent.result.differs]).toEqual([0, '', []]);
      expect(sent.bytes).toBeLessThan(whole.bytes / 5);
      expect(folder.read(release(n, 'REVISION'))).toBe(`${revision}\n`);
      expect(folder.read(release(n, 'src/7.php'))).toBe(text(7, `b${n}`));
      expect(statSync(join(folder.dir, release(n, 'src/8.php'))).nlink).toBe(n);
      expect(folder.isLink(release(n, 'media'))).toBe(true);
    }
  });

  test('never gets from its last release what the application changed there', async () => {
    const { folder, receive } = receivingNode();
    await receive(sourceOf(), await repository.commit({ 'index.php': 'one', 'other.php': 'one' }));
    folder.write('releases/20260101000001/other.php', 'ONE');
    const { result } = await receive(sourceOf(), await repository.commit({ 'index.php': 'two' }), 2);
    expect(result.differs).toEqual([]);
    expect(folder.read('releases/20260101000002/other.php')).toBe('one');
  });

  test('is sent the whole, if a name in it cannot stand in a manifest', async () => {
    const { folder, receive } = receivingNode();
    const revision = await repository.commit({ 'a\nb': '1', 'back\\slash': '2' });
    const { status, stderr } = await receive(sourceOf(), revision);
    expect([status, stderr]).toEqual([0, '']);
    expect(folder.list('releases/20260101000001')).toEqual(
      ['.env', 'REVISION', 'REVISION_TIME', 'a\nb', 'back\\slash', 'media'].sort(),
    );
  });
});

describe('an artifact', () => {
  test('holds the tree of the commit, its revision and its time', async () => {
    await mkdir(join(repository.directory, 'bin'));
    await writeFile(join(repository.directory, 'bin/run'), '#!/bin/sh\n');
    await chmod(join(repository.directory, 'bin/run'), 0o755);
    await symlink('/etc/passwd', join(repository.directory, 'link'));
    const long = `${'deep/'.repeat(30)}file with a täxt.txt`;
    const revision = await repository.commit({
      'index.php': 'hello',
      [long]: 'far',
      REVISION: 'stale',
      empty: '',
    });
    const time = repository.git('log', '-1', '--format=%ct');
    expect(await sourceOf().build(releaseOf(revision), {})).toMatchObject({ timeSeconds: Number(time) });
    const files = await unpacked(sourceOf(), revision);
    expect(files).toMatchObject({
      'index.php': '644 hello',
      'bin/run': '755 #!/bin/sh\n',
      link: '-> /etc/passwd',
      [long]: '644 far',
      empty: '644 ',
    });
    expect(Object.keys(files)).toHaveLength(5);
  });

  test('is the same, built from a checkout, as one straight from the mirror', async () => {
    await symlink('index.php', join(repository.directory, 'link'));
    const revision = await repository.commit({
      'index.php': 'hello',
      'tests/a.php': 'x',
      'docs/secret.md': 'x',
      'docs/public.md': 'x',
      '.gitattributes': 'tests/ export-ignore\nsecret.md export-ignore\n',
      'app/tests.php': 'kept',
      'big.bin': 'b'.repeat(3_000_000),
    });
    const straight = await sourceOf().build(releaseOf(revision), {});
    const built = await sourceOf({ build: [['true']] }).build(releaseOf(revision), {});
    const files = await unpacked(sourceOf(), revision);
    expect(Object.keys(files)).toEqual(expect.arrayContaining(['docs/public.md', 'app/tests.php']));
    expect(Object.keys(files).filter((path) => /^tests|secret/.test(path))).toEqual([]);
    expect((await whole(built)).digest).toBe((await whole(straight)).digest);
    await Promise.all([straight.discard(), built.discard()]);
  });

  test.each([[[]], [[['true']]]])('is only the directory that was asked for (build: %j)', async (build) => {
    const revision = await repository.commit({
      'public/index.php': 'hello',
      'public2/x': 'x',
      'composer.json': '{}',
    });
    const files = await unpacked(sourceOf({ directory: 'public/', build }), revision);
    expect(Object.keys(files).sort()).toEqual(['index.php']);
  });

  test.each([[[]], [[['true']]]])('lacks what is excluded (build: %j)', async (build) => {
    const revision = await repository.commit({
      'node_modules/a/b.js': 'x',
      'src/app.js': 'x',
      'src/app.js.map': 'x',
      'app.map': 'x',
      'lib/node_modules/c.js': 'x',
    });
    const files = await unpacked(sourceOf({ exclude: ['node_modules', '**/*.map'], build }), revision);
    expect(Object.keys(files).sort()).toEqual(['lib/node_modules/c.js', 'src/app.js']);
  });

  test.each([
    ['public', []],
    ['index.php', []],
    ['public', [['true']]],
    ['..', [['true']]],
    ['escape', [['ln', '-s', '/etc', 'escape']]],
  ])('of a directory that is not there (%s) is refused, and says so', async (directory, build) => {
    const revision = await repository.commit({ 'index.php': 'hello' });
    const error = await failureOf(
      sourceOf({ directory, build }).build(releaseOf(revision), {}),
      'BUILD_FAILED',
    );
    expect(error.message).toContain(`${revision} has no directory ${directory}`);
  });

  test('with a submodule holds it at the recorded commit', async () => {
    const library = await makeRepository('library');
    await library.commit({ 'lib.php': 'recorded' });
    await writeFile(join(top, '.gitconfig'), `${gitConfig}[protocol "file"]\n  allow = always\n`);
    repository.git('submodule', '--quiet', 'add', '../library', 'vendor/library');
    const revision = await repository.commit({ 'index.php': 'hello' });
    await library.commit({ 'lib.php': 'newer' });
    const files = await unpacked(sourceOf(), revision);
    expect(files['vendor/library/lib.php']).toBe('644 recorded');
    expect(Object.keys(files).filter((path) => path.endsWith('.git'))).toEqual([]);
    const without = await unpacked(sourceOf({ submodules: false }), revision);
    expect(without['vendor/library/lib.php']).toBeUndefined();
    expect(without['index.php']).toBe('644 hello');
  });

  test('leaves nothing behind, whether it is discarded, fails or is aborted', async () => {
    const scratch = join(top, 'scratch');
    await mkdir(scratch);
    const before = process.env.TMPDIR;
    process.env.TMPDIR = scratch;
    try {
      const revision = await repository.commit({ a: '1' });
      const artifact = await sourceOf({ build: [['true']] }).build(releaseOf(revision), {});
      const [directory] = await readdir(scratch);
      expect(await readdir(join(scratch, directory!))).toEqual(['contents']);
      expect(statSync(join(scratch, directory!, 'contents')).mode & 0o777).toBe(0o600);
      await whole(artifact);
      await artifact.discard();
      await failureOf(sourceOf({ build: [['false']] }).build(releaseOf(revision), {}), 'BUILD_FAILED');
      expect(await readdir(scratch)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });
});

describe('build commands', () => {
  test('run once, in order, in the checkout, with their environment, and tell each line', async () => {
    const revision = await repository.commit({ 'index.php': 'hello' });
    const build = [
      ['sh', '-c', 'echo "built in $MODE" > out.txt'],
      'cat out.txt; git rev-parse HEAD; printf "no end" >&2',
    ];
    const seen: string[] = [];
    const source = sourceOf({ build, env: { MODE: 'production' } });
    const artifact = await source.build(releaseOf(revision), { onLine: (line) => seen.push(line) });
    expect(seen).toEqual(expect.arrayContaining(['built in production', revision, 'no end']));
    expect((await listed(artifact))['out.txt']).toBe('644 built in production\n');
  });

  test('that fail say which one, its status and its last lines, and nothing more is run', async () => {
    const revision = await repository.commit({ a: '1' });
    const marker = join(top, 'ran');
    const source = sourceOf({ build: ['echo the reason >&2; exit 7', ['touch', marker]] });
    const error = await failureOf(source.build(releaseOf(revision), {}), 'BUILD_FAILED');
    expect(error.message).toContain('"echo the reason >&2; exit 7" ended with status 7:\n  | the reason');
    expect(existsSync(marker)).toBe(false);
  });

  test('know a secret that no line and no error shows', async () => {
    const revision = await repository.commit({ a: '1' });
    const seen: string[] = [];
    const source = sourceOf({
      build: [
        'test "$TOKEN" = S3NT1NEL || exit 9; echo "using $TOKEN"; echo "$TOKEN" | sed s/S/S/ >&2; exit 7 # S3NT1NEL',
      ],
      env: { TOKEN: new Secret('S3NT1NEL') },
    });
    const building = source.build(releaseOf(revision), { onLine: (line) => seen.push(line) });
    const error = await failureOf(building, 'BUILD_FAILED');
    expect(seen).toEqual(['using [secret]', '[secret]']);
    expect(error.message).toContain('status 7');
    expect(shownOf(error)).not.toContain('S3NT1NEL');
    expect(source.describe().join()).not.toContain('S3NT1NEL');
  });

  test('that take too long are ended', async () => {
    const revision = await repository.commit({ a: '1' });
    await sourceOf().resolve('main');
    const source = sourceOf({ build: ['sleep 60'], timeoutMs: 8000 });
    const error = await failureOf(source.build(releaseOf(revision), {}), 'BUILD_FAILED');
    expect(error.message).toContain('"sleep 60" ended with a timeout of 8000 ms');
  });

  test('are ended by an abort, with all that they started', async () => {
    const revision = await repository.commit({ a: '1' });
    const abort = new AbortController();
    const reason = new Error('stop');
    const lines: string[] = [];
    const building = sourceOf({ build: ['sleep 60 & echo $!; wait'] }).build(releaseOf(revision), {
      signal: abort.signal,
      onLine: (line) => {
        lines.push(line);
        abort.abort(reason);
      },
    });
    await expect(building).rejects.toBe(reason);
    await expect.poll(() => isAlive(Number(lines[0]))).toBe(false);
  });

  test('cannot change the mirror', async () => {
    const revision = await repository.commit({ a: '1' });
    const build = [['git', 'config', 'core.hooksPath', '/nowhere'], 'git tag evil && git branch evil'];
    await (await sourceOf({ build }).build(releaseOf(revision), {})).discard();
    expect(textOf(join(top, 'cache'))).not.toContain('/nowhere');
    await expect(sourceOf().resolve('evil')).rejects.toMatchObject({ code: 'REF_UNKNOWN' });
  });
});

test('what a build would run is told without running it', () => {
  const source = sourceOf({
    url: 'https://u:S3NT1NEL@example.org/site.git',
    build: [['npm', 'ci'], 'npm run build | tee log'],
  });
  expect(source.describe()).toEqual([
    'check out https://example.org/site.git with its submodules',
    'npm ci',
    'npm run build | tee log',
    'pack the checkout',
  ]);
});

interface Repository {
  readonly directory: string;
  git(...args: readonly string[]): string;
  /** Writes the files, and commits all that is there. */
  commit(files: Readonly<Record<string, string>>, subject?: string): Promise<Revision>;
}

async function makeRepository(name: string): Promise<Repository> {
  const directory = join(top, name);
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: directory, env: environment(), encoding: 'utf8', stdio: 'pipe' }).trim();
  await mkdir(directory, { recursive: true });
  git('init', '--quiet');
  return {
    directory,
    git,
    async commit(files, subject = 'a change') {
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(directory, path)), { recursive: true });
        await writeFile(join(directory, path), content);
      }
      git('add', '--all');
      git('commit', '--quiet', '--message', subject);
      return git('rev-parse', 'HEAD') as Revision;
    },
  };
}

async function unpacked(source: Source, revision: Revision): Promise<Readonly<Record<string, string>>> {
  return listed(await source.build(releaseOf(revision), {}));
}

/** Each file as `mode content`, each link as `-> target`, as the system's tar unpacks them; the build is discarded. */
async function listed(built: Built): Promise<Readonly<Record<string, string>>> {
  const unpacked = await mkdtemp(join(top, 'unpacked-'));
  execFileSync('tar', ['-xzpf', '-', '-C', unpacked], { input: await read(await whole(built)) });
  await built.discard();
  const directory = 'since' in built ? join(unpacked, 'tree') : unpacked;
  const find = [
    '.',
    '(',
    '-type',
    'f',
    '-printf',
    '%P\\t%m\\0',
    ')',
    '-o',
    '(',
    '-type',
    'l',
    '-printf',
    '%P\\t-> %l\\0',
    ')',
  ];
  const found = execFileSync('find', find, { cwd: directory, encoding: 'utf8' }).split('\0').filter(Boolean);
  return Object.fromEntries(
    found.map((line) => {
      const [path = '', what = ''] = line.split('\t');
      return [path, what.startsWith('->') ? what : `${what} ${readFileSync(join(directory, path), 'utf8')}`];
    }),
  );
}

async function failureOf(promise: Promise<unknown>, code: DeployError['code']): Promise<DeployError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!isDeployError(error, code)) throw new Error(`expected ${code}, got ${String(error)}`);
  return error;
}

/** All of an error that a log could show. */
const shownOf = (error: DeployError): string =>
  [error.message, error.stack, JSON.stringify(error.details), String(error.cause)].join('\n');

const textOf = (directory: string): string =>
  execFileSync('grep', ['-ar', '', directory], { encoding: 'latin1' });

const commandLines = (): string => execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' });

const listening = (server: Server): Promise<Server> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
