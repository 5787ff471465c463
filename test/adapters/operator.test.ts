import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemOperator } from '../../src/adapters/operator.ts';
import { Secret } from '../../src/core/secret.ts';
import { isAlive } from './process-state.ts';

const operator = systemOperator(process.env);
const options = { env: {}, timeoutMs: 10_000 };

describe('the name of the operator', () => {
  test('is the login and the host', () => {
    expect(operator.host).toBe(hostname());
    expect(operator.name).toMatch(/^.+@/);
    expect(operator.name.endsWith(`@${hostname()}`)).toBe(true);
  });

  test('is the person behind a CI job, not the user of the runner', () => {
    expect(systemOperator({ GITHUB_ACTOR: 'mona' }).name).toBe(`mona@${hostname()}`);
    expect(systemOperator({ GITLAB_USER_LOGIN: 'tanuki' }).name).toBe(`tanuki@${hostname()}`);
    expect(systemOperator({ GITHUB_ACTOR: '', GITLAB_USER_LOGIN: 'tanuki' }).name).toBe(
      `tanuki@${hostname()}`,
    );
  });
});

describe('a command of the operator', () => {
  test('as a list is run without a shell', async () => {
    const result = await operator.run(['printf', '%s|', 'a b', '$HOME', '*'], options);
    expect(result).toEqual({ status: 0, stdout: 'a b|$HOME|*|', stderr: '' });
  });

  test('as a text is run by a shell, with the given environment on top of the inherited one', async () => {
    const result = await operator.run('echo "$WORD-${PATH:+path}"; echo oops >&2; exit 3', {
      ...options,
      env: { WORD: new Secret('given') },
    });
    expect(result).toEqual({ status: 3, stdout: 'given-path\n', stderr: 'oops\n' });
  });

  test('that does not exist ends with 127, as in a shell', async () => {
    const result = await operator.run(['no-such-program-here'], options);
    expect(result.status).toBe(127);
    expect(result.stderr).toContain('no-such-program-here');
  });

  test('that a signal ended says which, as in a shell', async () => {
    expect((await operator.run('kill -KILL $$', options)).status).toBe(128 + 9);
  });

  test('has no standard input to wait for', async () => {
    expect(await operator.run(['cat'], options)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('keeps the last 16 KiB of its output', async () => {
    const { stdout } = await operator.run('yes 0123456 | head -n 100000; echo the end', options);
    expect(stdout.length).toBe(16 * 1024);
    expect(stdout.endsWith('0123456\nthe end\n')).toBe(true);
  });

  test('that is ended takes all that it started with it', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'operator-')), 'pid');
    const abort = new AbortController();
    const run = operator.run('sleep 60 & echo $! > "$FILE"; wait', {
      env: { FILE: file },
      timeoutMs: 60_000,
      signal: abort.signal,
    });
    const ended = expect(run).rejects.toThrow('stop');
    const grandchild = await pidIn(file);
    expect(isAlive(grandchild)).toBe(true);
    abort.abort(new Error('stop'));
    await ended;
    await expect.poll(() => isAlive(grandchild)).toBe(false);
    await rm(dirname(file), { recursive: true });
  });

  test('that is aborted rejects with the reason, after it has ended', async () => {
    const abort = new AbortController();
    const reason = new Error('stop');
    const start = performance.now();
    setTimeout(() => abort.abort(reason), 100);
    await expect(operator.run('sleep 60', { ...options, signal: abort.signal })).rejects.toBe(reason);
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  test('that takes too long is ended', async () => {
    const run = operator.run('sleep 60', { env: {}, timeoutMs: 200 });
    await expect(run).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
  });

  test('that ignores being asked to end is ended by force, and what is out of reach not waited for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'operator-'));
    const pids = ['left', 'own'].map((name) => join(folder, name));
    const abort = new AbortController();
    const run = operator.run(
      `trap '' TERM
      setsid sh -c 'echo $$ > "$FOLDER/left"; exec sleep 60' &
      echo $$ > "$FOLDER/own"
      while :; do sleep 0.1; done`,
      { env: { FOLDER: folder }, timeoutMs: 60_000, signal: abort.signal },
    );
    const ended = expect(run).rejects.toThrow('stop');
    const [left, own] = (await Promise.all(pids.map(pidIn))) as [number, number];
    const start = performance.now();
    abort.abort(new Error('stop'));
    await ended;
    expect(performance.now() - start).toBeLessThan(18_000);
    expect(isAlive(left)).toBe(true);
    process.kill(left, 'SIGKILL');
    await expect.poll(() => isAlive(own)).toBe(false);
    await rm(folder, { recursive: true });
  });
});

/** Of a process that writes it there. */
async function pidIn(file: string): Promise<number> {
  const written = () => readFile(file, 'utf8').catch(() => '');
  await expect.poll(written).toMatch(/^\d+\n$/);
  return Number(await written());
}
