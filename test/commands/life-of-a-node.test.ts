import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { removeReleases } from '../../src/commands/cleanup.ts';
import { fencedStatus } from '../../src/commands/fenced.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { acquireLock, breakLock, releaseLock, renewLock } from '../../src/commands/lock.ts';
import { note } from '../../src/commands/note.ts';
import { readHistory } from '../../src/commands/read-history.ts';
import { receive } from '../../src/commands/receive.ts';
import { runHook } from '../../src/commands/run-hook.ts';
import { setUp } from '../../src/commands/setup.ts';
import { switchTo } from '../../src/commands/switch.ts';
import type { NodeState } from '../../src/core/observation.ts';
import { node, release, releaseId, revisionOf } from '../core/fleet.ts';
import { artifact, nodeFolder } from './node-folder.ts';

const web1 = node('web1');
const lock = (run: string) => ({
  run,
  holder: 'ada@desk',
  host: 'desk',
  reason: "it's a test",
  startedAt: '2026-01-14T09:30:00.000Z',
  intent: null,
});

type Folder = ReturnType<typeof nodeFolder>;

const look = (folder: Folder): NodeState => folder.run(inspect(web1, folder.site)).result;

const locked = (more: Parameters<typeof nodeFolder>[0] = {}): Folder => {
  const folder = nodeFolder(more);
  expect(folder.run(acquireLock(web1, folder.site, lock('run-1'), [])).result.acquired).toBe(true);
  return folder;
};

const files = (n: number) => ({ 'index.php': `v${n}`, REVISION: `${revisionOf(n)}\n`, 'a/b.txt': 'b' });

const deliver = (folder: Folder, n: number, more: Readonly<Record<string, string>> = {}) => {
  const { bytes, digest } = artifact({ ...files(n), ...more });
  return folder.run(receive(folder.fence(), folder.site, release(n), digest), bytes);
};

const goLive = (folder: Folder, n: number): void => {
  expect(deliver(folder, n).status).toBe(0);
  expect(folder.run(switchTo(folder.fence(), folder.site, release(n))).status).toBe(0);
  folder.run(note(folder.fence('run-1', { marks: [{ release: releaseId(n), mark: 'checked' }] }), null));
};

describe('the lock', () => {
  test('is held by one run alone, which is named to the others', () => {
    const folder = locked();
    const second = folder.run(acquireLock(web1, folder.site, lock('run-2'), [])).result;
    expect(second.acquired).toBe(false);
    expect(second.state.lock).toMatchObject({ run: 'run-1', holder: 'ada@desk', reason: "it's a test" });
  });

  test('taken twice by one run is taken once', () => {
    const folder = locked();
    expect(folder.run(acquireLock(web1, folder.site, lock('run-1'), [])).result.acquired).toBe(true);
    expect(folder.list('.sluice').filter((name) => name.startsWith('lock'))).toEqual(['lock']);
  });

  test('is not freed by a run that does not hold it (S26)', () => {
    const folder = locked();
    const ran = folder.run(releaseLock(folder.fence('run-2'), { logLine: null, historyLine: null }));
    expect(ran.status).toBe(fencedStatus);
    expect(folder.exists('.sluice/lock')).toBe(true);
  });

  test('fences: a run without it changes nothing', () => {
    const folder = locked();
    const { bytes, digest } = artifact(files(1));
    for (const command of [
      receive(folder.fence('run-2'), folder.site, release(1), digest),
      switchTo(folder.fence('run-2'), folder.site, release(1)),
      note(folder.fence('run-2', { before: ['{}'] }), ['lb web/web1']),
      removeReleases(folder.fence('run-2'), [releaseId(1)]),
      renewLock(folder.fence('run-2')),
    ]) {
      const ran = folder.run(command, bytes);
      expect([ran.status, ran.stderr]).toEqual([fencedStatus, 'fenced\n']);
    }
    expect(folder.list('releases')).toEqual([]);
    expect(folder.list('.sluice/journal')).toEqual([]);
    expect(folder.exists('.sluice/drained')).toBe(false);
  });

  /** A switch that is under way: its activate command goes on for a second. */
  const underWay = async (folder: Folder): Promise<void> => {
    deliver(folder, 1);
    const slow = { ...folder.site, activate: ['echo begun > ../../log; sleep 1; echo ended >> ../../log'] };
    void folder.start(switchTo(folder.fence(), slow, release(1)));
    while (!folder.exists('log')) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  test.each([
    ['taken over', ['run-1']],
    ['broken and taken anew', []],
  ])('is not %s while a command of the run before is under way', async (_how, from) => {
    const folder = locked();
    await underWay(folder);
    if (from.length === 0) folder.run(breakLock(folder.dir, 'run-1', '{}'));
    const { acquired, busy } = folder.run(acquireLock(web1, folder.site, lock('run-2'), from)).result;
    expect({ acquired, busy }).toEqual({ acquired: true, busy: false });
    expect(folder.read('log')).toBe('begun\nended\n');
  });

  test('does not let a switch begin before the one whose connection was lost has ended', async () => {
    const folder = locked();
    await underWay(folder);
    const again = { ...folder.site, activate: ['echo again >> ../../log'] };
    expect(folder.run(switchTo(folder.fence(), again, release(1))).status).toBe(0);
    expect(folder.read('log')).toBe('begun\nended\nagain\n');
  });

  test('is not kept by a server that an activate command starts', () => {
    const folder = locked();
    deliver(folder, 1);
    const site = { ...folder.site, activate: ['sleep 60 > /dev/null 2>&1 & echo $! > ../../server'] };
    expect(folder.run(switchTo(folder.fence(), site, release(1))).status).toBe(0);
    onTestFinished(() => void process.kill(Number(folder.read('server'))));
    const { acquired, busy } = folder.run(
      acquireLock(web1, folder.site, lock('run-2'), ['run-0', 'run-1']),
    ).result;
    expect({ acquired, busy }).toEqual({ acquired: true, busy: false });
  });

  test('of a dead run is taken over by one run alone, and the dead one is fenced off', () => {
    const folder = locked();
    const over = (run: string, from: string) =>
      folder.run(acquireLock(web1, folder.site, lock(run), [from])).result.acquired;
    expect(over('run-2', 'run-0'), 'another than the one that is dead').toBe(false);
    expect(over('run-2', 'run-1')).toBe(true);
    expect(over('run-3', 'run-1'), 'a second that tries').toBe(false);
    expect(over('run-2', 'run-1'), 'again, for a lost reply').toBe(true);
    expect(folder.run(renewLock(folder.fence('run-1'))).status).toBe(fencedStatus);
    expect(folder.run(renewLock(folder.fence('run-2'))).status).toBe(0);
    folder.run(releaseLock(folder.fence('run-2'), { logLine: null, historyLine: null }));
    expect(folder.list('.sluice').filter((name) => /^(lock|claim)/.test(name))).toEqual([]);
  });

  test('says what its run set out to do', () => {
    const intent = {
      purpose: 'deploy',
      wanted: "main's",
      release: release(2),
      nodes: ['web1'],
      before: { web1: release(1), web2: null },
      pool: 'blue',
      onceAs: releaseId(2),
    } as const;
    const folder = nodeFolder();
    const { state } = folder.run(acquireLock(web1, folder.site, { ...lock('run-1'), intent }, [])).result;
    expect(state.lock?.intent).toEqual(intent);
  });

  test('that was broken stops its run, and the history says who broke it', () => {
    const folder = locked();
    const line = JSON.stringify({ at: '2026-01-14T09:31:00.000Z', run: 'run-1', text: 'broken by grace' });
    expect(folder.run(breakLock(folder.dir, 'run-1', line)).result).toBe(true);
    expect(folder.run(renewLock(folder.fence())).status).toBe(fencedStatus);
    expect(folder.run(readHistory(folder.dir)).result.own).toEqual([line]);
    expect(folder.run(breakLock(folder.dir, 'run-1', line)).result).toBe(false);
  });

  test('is given back with the run’s end in the logs', () => {
    const folder = locked();
    const logLine = 'Branch main (at abc) deployed as release 20260114093001 by ada';
    folder.run(releaseLock(folder.fence(), { logLine, historyLine: '{}' }));
    expect(folder.exists('.sluice/lock')).toBe(false);
    expect(folder.read('revisions.log')).toBe(`${logLine}\n`);
  });

  test('leaves nothing of what came in, and leaves the directory for it, of which another run may just make sure', () => {
    const folder = locked();
    folder.write(`.sluice/incoming/${releaseId(1)}.files/ab/cd`, 'x');
    chmodSync(join(folder.dir, '.sluice/incoming'), 0o710);
    folder.run(releaseLock(folder.fence(), { logLine: null, historyLine: null }));
    expect(folder.list('.sluice/incoming')).toEqual([]);
    expect(statSync(join(folder.dir, '.sluice/incoming')).mode & 0o777).toBe(0o710);
  });

  test('keeps the journals of the last twenty runs', () => {
    const folder = locked();
    for (let n = 10; n < 40; n++) folder.write(`.sluice/journal/20260101-${n}`, '{}');
    folder.run(releaseLock(folder.fence(), { logLine: null, historyLine: null }));
    expect(folder.list('.sluice/journal')).toHaveLength(20);
    expect(folder.list('.sluice/journal').at(-1)).toBe('20260101-39');
  });

  test('shows how long its holder has been silent, by the node’s own clock', () => {
    const folder = locked();
    folder.write('.sluice/heartbeat', `${Math.floor(Date.now() / 1000) - 100}\n`);
    expect(look(folder).lock?.silentMs).toBeGreaterThanOrEqual(100_000);
    folder.run(renewLock(folder.fence()));
    expect(look(folder).lock?.silentMs).toBeLessThan(60_000);
  });

  test.each([
    ['taken', 'run-9', []],
    ['taken over', 'run-0', ['run-0']],
  ])('that is %s, and renewed, is never seen without a heartbeat of its run', (_how, holder, from) => {
    const folder = nodeFolder();
    folder.write(from.length === 0 ? 'elsewhere' : '.sluice/lock', `${holder}\n{}\n`);
    folder.write('.sluice/heartbeat', '1700000000\n');
    const lookers =
      '[ "$(head -n 1 .sluice/lock)" != run-1 ] || echo "beat $(cat .sluice/heartbeat)" >> seen';
    instead('date', `cd ${folder.dir} 2>/dev/null && ${lookers}`);
    folder.run(acquireLock(web1, folder.site, lock('run-1'), from));
    folder.run(renewLock(folder.fence()));
    const seen = folder.read('seen').trim().split('\n');
    expect(seen.filter((line) => !(Number(line.slice('beat '.length)) > 1_700_000_000))).toEqual([]);
  });

  test.each([
    ['run-3', ':'],
    ['run-2', 'cp other .sluice/claim.run-1; rm -f .sluice/lock.run-2'],
  ])('that %s has by the time a run’s turn comes is not taken over again', (other, before) => {
    const folder = locked();
    folder.write('other', `${other}\n{}\n`);
    instead('flock', `${once(folder, 'began')} || { ${before}; mv other .sluice/lock; exit 1; }`);
    const ran = folder.run(acquireLock(web1, folder.site, lock('run-2'), ['run-1']));
    expect(ran.status, ran.stderr).toBe(0);
    expect(folder.read('.sluice/lock').split('\n')[0]).toBe(other);
  });

  test.each(['run-1', 'run-2'])(
    'that %s has meanwhile is not freed by an attempt that waited in vain',
    (other) => {
      const folder = nodeFolder();
      folder.write('other', `${other}\n{}\n`);
      instead('sleep', `${once(folder, 'slept')} || mv other .sluice/lock; exit 0`);
      instead('flock', 'exit 1');
      expect(folder.run(acquireLock(web1, folder.site, lock('run-1'), [])).result.busy).toBe(true);
      expect(folder.read('.sluice/lock').split('\n')[0]).toBe(other);
    },
  );

  test('is given back although something that was cut off still writes below it', () => {
    const folder = locked();
    folder.write('.sluice/incoming/left', '');
    instead('rm', `case $* in (*incoming*) exit 1 ;; esac`);
    expect(folder.run(releaseLock(folder.fence(), { logLine: null, historyLine: null })).status).toBe(0);
    expect(folder.exists('.sluice/lock')).toBe(false);
  });

  test('that another run took while what came in was deleted stays', () => {
    const folder = locked();
    folder.write('.sluice/incoming/left', '');
    folder.write('other', 'run-2\n{}\n');
    instead('rm', 'case $* in (*incoming*) mv other .sluice/lock ;; esac');
    const ran = folder.run(releaseLock(folder.fence(), { logLine: null, historyLine: null }));
    expect(ran.status).toBe(fencedStatus);
    expect(folder.read('.sluice/lock')).toContain('run-2');
  });
});

/** What a command of that name does first, for the rest of a test. */
function instead(name: string, script: string): void {
  const bin = mkdtempSync(join(tmpdir(), 'sluice-bin-'));
  const PATH = process.env.PATH;
  writeFileSync(join(bin, name), `#!/bin/sh\nPATH='${PATH}'\n${script}\nexec ${name} "$@"\n`, {
    mode: 0o755,
  });
  vi.stubEnv('PATH', `${bin}:${PATH}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(bin, { recursive: true });
  });
}

/** Fails the first time. */
const once = ({ dir }: Folder, name: string): string => `! mkdir ${dir}/${name} 2>/dev/null`;

describe('the layout', () => {
  test('is made once, and a second time changes nothing (S01)', () => {
    const folder = nodeFolder({ linkedDirs: ['pub/media'], linkedFiles: ['app/etc/env.php'] });
    expect(folder.run(setUp(folder.site)).status).toBe(0);
    expect(folder.list('.')).toEqual(['.sluice', 'releases', 'shared']);
    expect([folder.exists('shared/pub/media'), folder.exists('shared/app/etc')]).toEqual([true, true]);
    expect(folder.run(setUp(folder.site)).status).toBe(0);
    expect(folder.exists('current')).toBe(false);
  });

  test('of a node that has nothing yet reads as empty', () => {
    const folder = nodeFolder();
    expect(look(folder)).toMatchObject({
      current: { kind: 'absent' },
      releases: [],
      proved: null,
      lock: null,
      once: [],
      cron: { block: 'none', since: null, running: [] },
      irreversible: [],
      maintenance: null,
      problems: [],
    });
  });
});

describe('receiving a release', () => {
  test('puts it under releases, whole, with its links and its record', () => {
    const folder = locked({ linkedDirs: ['pub/media', 'var'], linkedFiles: ['.env'] });
    folder.write('shared/pub/media/photo.jpg', 'photo');
    folder.write('shared/.env', 'KEY=1');
    const ran = deliver(folder, 1, { 'pub/media/from-git.txt': 'x', '.env': 'KEY=0' });
    expect(ran.status).toBe(0);
    const dir = `releases/${releaseId(1)}`;
    expect(folder.readlink(`${dir}/pub/media`)).toBe(`${folder.dir}/shared/pub/media`);
    expect(folder.readlink(`${dir}/.env`)).toBe(`${folder.dir}/shared/.env`);
    expect(folder.read(`${dir}/pub/media/photo.jpg`)).toBe('photo');
    expect(folder.list('shared/pub/media')).toEqual(['photo.jpg']);
    expect(folder.read('shared/.env')).toBe('KEY=1');
    expect(look(folder).releases).toEqual([
      { ...release(1), complete: true, checked: false, failed: false, backup: null },
    ]);
    expect(folder.list('.sluice/incoming')).toEqual([]);
  });

  test('twice is receiving it once', () => {
    const folder = locked();
    expect(deliver(folder, 1).result.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(deliver(folder, 1).result.digest).toBeNull();
  });

  test('with other bytes than were sent leaves nothing', () => {
    const folder = locked();
    const { bytes } = artifact(files(1));
    const ran = folder.run(receive(folder.fence(), folder.site, release(1), 'f'.repeat(64)), bytes);
    expect(ran.status).toBe(0);
    expect(ran.result.digest).not.toBe('f'.repeat(64));
    expect(folder.list('releases')).toEqual([]);
    expect(folder.list('.sluice/incoming')).toEqual([]);
  });

  test('that ends half way fails, and leaves nothing', () => {
    const folder = locked();
    const { bytes, digest } = artifact({
      ...files(1),
      big: 'x'.repeat(300_000).replaceAll('xxx', () => Math.random().toString(36).slice(2, 5)),
    });
    const ran = folder.run(
      receive(folder.fence(), folder.site, release(1), digest),
      bytes.subarray(0, bytes.length / 2),
    );
    expect(ran.status).not.toBe(0);
    expect(folder.list('releases')).toEqual([]);
    expect(folder.list('.sluice/incoming')).toEqual([]);
  });

  test('replaces what an aborted run left under its name', () => {
    const folder = locked();
    folder.write(`releases/${releaseId(1)}/half.txt`, 'half');
    expect(look(folder).releases[0]).toMatchObject({ complete: false });
    deliver(folder, 1);
    expect(folder.list(`releases/${releaseId(1)}`)).toEqual(['REVISION', 'a', 'index.php']);
  });

  test('never links through a link that the release brought', () => {
    const folder = locked({ linkedDirs: ['a/uploads'] });
    folder.mkdir('outside/uploads');
    folder.write('outside/uploads/precious', 'x');
    folder.mkdir('src');
    folder.symlink(`${folder.dir}/outside`, 'src/a');
    const { bytes, digest } = linkArtifact(folder.dir);
    const ran = folder.run(receive(folder.fence(), folder.site, release(1), digest), bytes);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('a is a link in the release, so a/uploads cannot be linked below it');
    expect(folder.read('outside/uploads/precious')).toBe('x');
  });
});

describe('switching', () => {
  test('makes the release current by a link that is replaced, never absent', () => {
    const folder = locked();
    goLive(folder, 1);
    goLive(folder, 2);
    expect(folder.readlink('current')).toBe(`${folder.dir}/releases/${releaseId(2)}`);
    expect(folder.list('.')).toEqual(['.sluice', 'current', 'releases', 'shared']);
    expect(look(folder)).toMatchObject({
      current: { kind: 'release', id: releaseId(2) },
      proved: releaseId(2),
    });
  });

  test('runs the activate commands in the new release, and says which failed', () => {
    const folder = locked({
      activate: [['cp', 'index.php', '../../proof'], "echo 'no workers' >&2; exit 3"],
    });
    deliver(folder, 1);
    const ran = folder.run(switchTo(folder.fence(), folder.site, release(1)));
    expect(folder.read('proof')).toBe('v1');
    expect([ran.status, ran.stderr]).toEqual([3, 'no workers\nactivate[1] failed\n']);
  });

  test('makes the release unproved until it answered its checks again', () => {
    const folder = locked();
    goLive(folder, 1);
    goLive(folder, 2);
    folder.run(switchTo(folder.fence(), folder.site, release(1)));
    expect(look(folder).proved).toBeNull();
  });

  test('to a release of Capistrano works again after a full disk left its record empty', () => {
    const folder = locked();
    folder.mkdir(`releases/${releaseId(1)}`);
    folder.write(`.sluice/releases/${releaseId(1)}`, '');
    expect(folder.run(switchTo(folder.fence(), folder.site, release(1))).status).toBe(0);
  });

  test('refuses a release that is not whole', () => {
    const folder = locked();
    folder.write(`releases/${releaseId(1)}/index.php`, 'half');
    folder.write(`.sluice/releases/${releaseId(1)}`, 'live 1\n');
    expect(folder.run(switchTo(folder.fence(), folder.site, release(1))).stderr).toContain('is not whole');
    expect(folder.exists('current')).toBe(false);
  });
});

describe('what is read of a node', () => {
  test('a release of Capistrano counts if its log says it was live', () => {
    const folder = nodeFolder();
    for (const n of [1, 2, 3]) folder.write(`releases/${releaseId(n)}/REVISION`, `${revisionOf(n)}\n`);
    folder.write('revisions.log', `Branch main (at abc) deployed as release ${releaseId(1)} by ada\n`);
    folder.symlink(`${folder.dir}/releases/${releaseId(3)}`, 'current');
    expect(look(folder).releases.map(({ complete }) => complete)).toEqual([true, false, true]);
    expect(look(folder).proved).toBe(releaseId(3));
  });

  test('a real directory in the place of current is a problem (S08)', () => {
    const folder = nodeFolder();
    folder.mkdir('current');
    expect(look(folder).problems.join()).toContain('current is a real file or directory');
  });

  test('a linked file that is missing is a problem that names file and node (S02)', () => {
    const folder = nodeFolder({ linkedFiles: ['.env'] });
    const missing = [`web1: linked file ${folder.dir}/shared/.env is missing; put it there first.`];
    expect(look(folder).problems, 'where nothing is yet').toEqual(missing);
    folder.mkdir('shared');
    expect(look(folder).problems).toEqual(missing);
  });

  test('files that a new linked dir would hide are a problem until shared has them (S06)', () => {
    const folder = nodeFolder({ linkedDirs: ['up loads'] });
    folder.write(`releases/${releaseId(1)}/up loads/a b.jpg`, 'x');
    folder.symlink(`${folder.dir}/releases/${releaseId(1)}`, 'current');
    expect(look(folder).problems.join()).toContain('a real directory with 1 file(s)');
    folder.write('shared/up loads/a b.jpg', 'x');
    expect(look(folder).problems).toEqual([]);
  });

  test('what a run has out of rotation is read back as it was written', () => {
    const folder = locked();
    folder.run(note(folder.fence(), ['lb1 web/web1', "lb2 it's/web1"]));
    expect(look(folder).drained).toEqual(['lb1 web/web1', "lb2 it's/web1"]);
    folder.run(note(folder.fence(), []));
    expect(look(folder).drained).toEqual([]);
  });

  test('what vanishes in that moment was not there', async () => {
    const folder = locked();
    folder.write('.sluice/drained.other', 'lb1 web/web1\n');
    const flicker = new Worker(
      `const { linkSync, unlinkSync, renameSync } = require('node:fs');
      const at = (name) => require('node:worker_threads').workerData + name;
      renameSync(at('lock'), at('lock.other'));
      for (;;) {
        for (const name of ['lock', 'drained']) linkSync(at(name + '.other'), at(name));
        for (const name of ['lock', 'drained']) unlinkSync(at(name));
      }`,
      { eval: true, workerData: `${folder.dir}/.sluice/` },
    );
    const looks = Array.from({ length: 40 }, () => folder.run(inspect(web1, folder.site)));
    await flicker.terminate();
    expect(looks.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
  });

  test('what may not be read is an error that names it, and not as if it were not there', () => {
    const folder = locked();
    folder.write('.sluice/drained', 'lb1 web/web1\n');
    for (const file of ['.sluice/lock', '.sluice/drained']) folder.chmod(file, 0);
    spawnSync('chmod', ['a+rx', dirname(folder.dir), folder.dir, join(folder.dir, '.sluice')]);
    const { script } = inspect(web1, folder.site);
    // Root reads all.
    const somebody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : ['env'];
    const { status, stderr } = spawnSync('env', [...somebody, 'sh', '-euc', script], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr.split('\n').filter((line) => line.includes('ermission'))).toEqual([
      expect.stringContaining('.sluice/lock'),
      expect.stringContaining('.sluice/drained'),
    ]);
    expect(stderr).not.toContain('No such file');
  });

  test('a release that failed its checks is known as failed until it passes them', () => {
    const folder = locked();
    goLive(folder, 1);
    folder.run(note(folder.fence('run-1', { marks: [{ release: releaseId(1), mark: 'failed' }] }), null));
    expect(look(folder).releases[0]?.failed).toBe(true);
    folder.run(note(folder.fence('run-1', { marks: [{ release: releaseId(1), mark: 'checked' }] }), null));
    expect(look(folder).releases[0]?.failed).toBe(false);
  });
});

describe('cleanup', () => {
  test('deletes releases with their records, and follows no link into shared', () => {
    const folder = locked({ linkedDirs: ['media'] });
    folder.write('shared/media/photo.jpg', 'photo');
    for (const n of [1, 2]) goLive(folder, n);
    expect(folder.run(removeReleases(folder.fence(), [releaseId(1)])).result).toEqual([]);
    expect(folder.list('releases')).toEqual([releaseId(2)]);
    expect(folder.list('.sluice/releases')).toEqual([releaseId(2)]);
    expect(folder.read('shared/media/photo.jpg')).toBe('photo');
  });

  test('leaves no half of a release that counts as one, and deletes next time what is left of it', () => {
    const folder = locked();
    for (const n of [1, 2, 3]) goLive(folder, n);
    const half = `find releases -path "*${releaseId(1)}*" -name index.php -delete; echo "rm: it's busy" >&2; exit 1`;
    instead(
      'rm',
      `case "$*" in ("-rf releases/"*${releaseId(1)}*) ${once(folder, 'tried')} || { ${half}; } ;; esac`,
    );
    expect(folder.run(removeReleases(folder.fence(), [releaseId(1)])).result).toEqual([
      { id: releaseId(1), reason: "rm: it's busy" },
    ]);
    expect(look(folder).releases.map(({ id }) => id)).toEqual([releaseId(2), releaseId(3)]);
    expect(folder.run(removeReleases(folder.fence(), [releaseId(2)])).result).toEqual([]);
    expect(folder.list('releases')).toEqual([releaseId(3)]);
  });

  test('keeps the live release whatever the list says (S11)', () => {
    const folder = locked();
    goLive(folder, 1);
    folder.run(removeReleases(folder.fence(), [releaseId(1)]));
    expect(folder.list('releases')).toEqual([releaseId(1)]);
  });
});

describe('a hook', () => {
  const hook = (folder: Folder, command: string | readonly string[], once = false) =>
    folder.run(
      runHook(folder.fence(), {
        hook: 'migrate db',
        point: 'after:prepare',
        command,
        once,
        onceAs: releaseId(1),
        release: release(1),
        timeoutMs: 1000,
      }),
    );

  test('runs in the release, and knows it', () => {
    const folder = locked();
    deliver(folder, 1);
    expect(hook(folder, 'cat index.php; echo " $SLUICE_RELEASE $SLUICE_HOOK"').stdout).toBe(
      `v1 ${releaseId(1)} after:prepare\n`,
    );
  });

  test('that runs once is not run again when it is done', () => {
    const folder = locked();
    hook(folder, 'echo x >> count', true);
    expect(hook(folder, 'echo x >> count', true).result.state).toBe('done');
    expect(folder.read('count')).toBe('x\n');
  });

  test('that runs once and was cut off is not run again, and says so', () => {
    const folder = locked();
    folder.write(`.sluice/once/${releaseId(1)}.migrate%20db.begun`, '');
    expect(hook(folder, 'echo x >> count', true).result.state).toBe('unknown');
    expect(folder.exists('count')).toBe(false);
  });

  test('is understood whatever the login shell says first', () => {
    const folder = locked();
    folder.write(`.sluice/once/${releaseId(1)}.migrate%20db.begun`, '');
    const { stdout } = hook(folder, 'true', true);
    const command = runHook(folder.fence(), {
      hook: 'migrate db',
      point: 'after:prepare',
      command: 'true',
      once: true,
      onceAs: releaseId(1),
      release: release(1),
      timeoutMs: 1000,
    });
    expect(command.parse(`Welcome\n${stdout}`).state).toBe('unknown');
    const again = acquireLock(web1, folder.site, lock('run-1'), []);
    expect(again.parse(`Welcome\n${folder.run(again).stdout}`).acquired).toBe(true);
  });

  test('that fails ends with its own status', () => {
    expect(hook(locked(), ['sh', '-c', 'echo no >&2; exit 4'], true)).toMatchObject({
      status: 4,
      stdout: 'no\n',
    });
  });
});

function linkArtifact(dir: string): { readonly bytes: Buffer; readonly digest: string } {
  const { stdout: bytes } = spawnSync('tar', ['-czf', '-', '-C', `${dir}/src`, '.']);
  const { stdout } = spawnSync('sha256sum', { input: bytes, encoding: 'utf8' });
  return { bytes, digest: stdout.split(' ')[0]! };
}
