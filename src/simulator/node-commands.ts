import { type Fence, fencedStatus } from '../commands/fenced.ts';
import { layout } from '../commands/layout.ts';
import { type Maintenance, runMark } from '../commands/maintenance.ts';
import type { HookRun } from '../commands/run-hook.ts';
import { assert } from '../core/assert.ts';
import type { CommandResult, NodeCommand } from '../core/command.ts';
import type { Workers } from '../core/hook.ts';
import type { Held, LockState } from '../core/observation.ts';
import type { Release, ReleaseId } from '../core/release.ts';
import { holdMark } from '../core/step.ts';
import { endJob } from './cron.ts';
import { inspectionOf, storageOf } from './inspection.ts';
import {
  type Disk,
  markRelease,
  pruneJournals,
  type SimulatedNode,
  secondsOn,
  writeJournal,
} from './node.ts';
import { isByHand, type Session } from './session.ts';
import { killWorker, startWorker, startWorkerLater, stopWorker } from './workers.ts';
import type { World } from './world.ts';

/** A command that runs on a node. Each number that it yields is the time until it goes on, in milliseconds. */
export type Work = Generator<number, CommandResult & { readonly isEarly?: true }, void>;

export interface Running {
  readonly world: World;
  readonly node: SimulatedNode;
  readonly by: Session;
  readonly command: NodeCommand;
  /** When it left the engine. */
  readonly sentAtMs: number;
  /** SHA-256 of what came over standard input; null: the stream broke off. */
  readonly digestOfInput: () => string | null;
}

/** Does on a simulated node what the command's script does on a real one. */
export function workOf(running: Running): Work {
  const { name } = running.command;
  const twin = twins[name];
  assert(twin, `the simulator knows every command, and ${name} is one`);
  return twin(running);
}

const twins: { readonly [name: string]: (running: Running) => Work } = {
  inspect: instant(({ node, world }) => ok(inspectionOf(node, world.site.deployTo, world.clock.nowMs()))),
  'count-connections': instant(({ node, world }) =>
    ok(`${[...world.requests].filter(({ server }) => server.node === node.name).length}\n`),
  ),
  'set-up': instant(() => ok()),
  'pack-release': pack,
  'look-at-storage': instant((running) => ok(storageOf(running.world.site, paramsOf(running)))),
  'mark-storage': instant((running) =>
    ok(
      paramsOf<{ dirs: readonly string[] }>(running)
        .dirs.map((_, i) => `= done ${i}\n`)
        .join(''),
    ),
  ),
  'acquire-lock': acquire,
  'break-lock': instant(breakLock),
  'read-history': instant(({ node: { disk } }) =>
    ok(
      [
        ...disk.history.map((line) => `own ${line}\n`),
        ...disk.revisionsLog.map((line) => `log ${line}\n`),
      ].join(''),
    ),
  ),
  'renew-lock': fenced(beat),
  'release-lock': unlessFree(fenced(releaseLock)),
  note: fenced(note),
  'hold-lock': fenced(holdLock),
  'pass-hold': fenced(passHold),
  'set-maintenance': fenced(setMaintenance),
  receive: fenced(receive),
  switch: latest(fenced(switchTo)),
  'run-hook': alone(fenced(runHook)),
  'put-cron': alone(fenced(putCron)),
  'take-cron': alone(fenced(takeCron)),
  'end-cron-jobs': alone(fenced(endCronJobs)),
  'remove-releases': fenced(removeReleases),
};

const ok = (stdout = ''): CommandResult => ({ status: 0, stdout, stderr: '' });
const failed = (stderr: string, status = 1): CommandResult => ({ status, stdout: '', stderr: `${stderr}\n` });

/** As `exit 0` in the midst of a script: what stands after it is not done. */
const early = (stdout = ''): CommandResult & { readonly isEarly: true } => ({ ...ok(stdout), isEarly: true });

const lockLost = failed('fenced', fencedStatus);

type Params = NodeCommand['params'];
const paramsOf = <P>({ command }: Running): P => command.params as Params & P;

/** Nothing comes between its first and its last line. */
function instant(work: (running: Running) => CommandResult): (running: Running) => Work {
  // biome-ignore lint/correctness/useYield: it does not wait.
  return function* (running) {
    return work(running);
  };
}

/** `src/commands/fenced.ts`: nothing unless the lock names the run; marks and journal lines before the work. */
function fenced(work: (running: Running) => Work): (running: Running) => Work {
  return function* (running) {
    if (!holdsLock(running)) return lockLost;
    const { disk } = running.node;
    const { run, marks, before, after } = paramsOf<Fence>(running);
    for (const mark of marks) {
      if (mark.mark === 'once') disk.once.add(`${mark.release}.${encodeURIComponent(mark.hook)}.done`);
      else if (mark.mark === 'irreversible') disk.irreversible.push(mark.release);
      else markRelease(disk, mark.release, mark.mark, { make: false });
      changed(running, `${mark.release} ${mark.mark}`);
    }
    writeJournal(disk, run, before);
    const result = yield* work(running);
    if (result.status === 0 && !result.isEarly) writeJournal(disk, run, after);
    return result;
  };
}

/** `src/commands/fenced.ts`: the node is this command's until it ends, or the machine does. */
function alone(work: (running: Running) => Work): (running: Running) => Work {
  return function* (running) {
    if (!holdsLock(running)) return lockLost;
    if (!(yield* awaitTurn(running.node, 600_000))) return failed('the node is busy');
    running.node.isBusy = true;
    const result = yield* work(running);
    running.node.isBusy = false;
    return result;
  };
}

/** The same; and nothing if a later attempt came while it waited. */
function latest(work: (running: Running) => Work): (running: Running) => Work {
  return function* (running) {
    if (!holdsLock(running)) return lockLost;
    running.node.latest = running;
    const { node } = running;
    return yield* alone((now) => (node.latest === running ? work(now) : refuse()))(running);
  };
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* refuse(): Work {
  return failed('a later attempt does it');
}

/** False if another command still holds the node after all this time. */
function* awaitTurn(node: SimulatedNode, msMax: number): Generator<number, boolean, void> {
  for (let ms = 0; node.isBusy; ms += 1000) {
    if (ms >= msMax) return false;
    yield 1000;
  }
  return true;
}

/** A lock that is gone was given back before, and the reply was lost. */
function unlessFree(work: (running: Running) => Work): (running: Running) => Work {
  return function* (running) {
    return running.node.disk.lock === null ? ok() : yield* work(running);
  };
}

const holdsLock = (running: Running): boolean => running.node.disk.lock?.run === paramsOf<Fence>(running).run;

const changed = ({ world, node, by, command }: Running, what: string): void =>
  world.tell({ kind: 'effect', node, by, run: String(command.params.run), what });

function* acquire(running: Running): Work {
  const { world, node, by } = running;
  const { disk } = node;
  const { lock, from } = paramsOf<{ lock: LockState; from: readonly string[] }>(running);
  const { run, ...details } = lock;
  const mine = { run, details: JSON.stringify(details) };
  const take = (): void => {
    disk.lock = mine;
    disk.heartbeatSeconds = secondsOn(node, world.clock.nowMs());
  };
  const look = (busy: boolean, text: string): CommandResult => {
    world.tell({ kind: 'lock', node, by, what: text });
    return ok(`${busy ? '= busy\n' : ''}${inspectionOf(node, world.site.deployTo, world.clock.nowMs())}`);
  };
  const isDead = (holder: string | undefined): holder is string =>
    holder !== undefined && from.includes(holder);
  if (disk.lock === null) take();
  else if (isDead(disk.lock.run)) {
    if (!(yield* awaitTurn(node, busyMsMax))) return look(true, 'not taken, the node is busy');
    const holder = disk.lock?.run;
    if (isDead(holder)) {
      if (!disk.claims.has(holder)) disk.claims.set(holder, run);
      if (disk.claims.get(holder) === run) take();
    }
  }
  if (disk.lock?.run !== run) return look(false, `refused (${disk.lock?.run} has it)`);
  if (yield* awaitTurn(node, busyMsMax)) {
    if (disk.lock?.run !== run) return look(false, 'lost again');
    take();
    return look(false, 'taken');
  }
  // Another attempt of the run may have it meanwhile.
  if (disk.lock === mine) disk.lock = null;
  return look(true, 'given back, the node is busy');
}

const busyMsMax = 20_000;

function* pack({ node, world, command }: Running): Work {
  const { id } = command.params as { id: ReleaseId };
  const release = node.disk.releases.get(id);
  if (!release) return failed(`release ${id} is not there`);
  yield world.random.integer({ min: 20, max: 400 });
  return ok(release.digest);
}

function breakLock(running: Running): CommandResult {
  const { world, node, by } = running;
  const { run, historyLine } = paramsOf<{ run: string; historyLine: string }>(running);
  if (node.disk.lock?.run !== run) return ok();
  node.disk.history.push(historyLine);
  free(node);
  world.tell({ kind: 'lock', node, by, what: 'broken' });
  return ok('= broken\n');
}

function free({ disk }: SimulatedNode): void {
  disk.claims.clear();
  disk.held = null;
  disk.lock = null;
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* beat({ node, world }: Running): Work {
  node.disk.heartbeatSeconds = secondsOn(node, world.clock.nowMs());
  return ok();
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* releaseLock(running: Running): Work {
  const { world, node, by } = running;
  const { logLine, historyLine } = paramsOf<{ logLine: string | null; historyLine: string | null }>(running);
  if (logLine !== null) node.disk.revisionsLog.push(logLine);
  if (historyLine !== null) node.disk.history.push(historyLine);
  if (logLine !== null || historyLine !== null) changed(running, 'log');
  pruneJournals(node.disk);
  free(node);
  world.tell({ kind: 'lock', node, by, what: 'given back' });
  return ok();
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* note(running: Running): Work {
  const { drained } = paramsOf<{ drained: readonly string[] | null }>(running);
  if (drained !== null) {
    running.node.disk.drained = drained;
    if (isByHand(running.by)) handOver(running);
    changed(running, `drained: ${drained.join(', ') || 'nothing'}`);
  }
  return ok();
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* holdLock(running: Running): Work {
  const { run, held, historyLine } = paramsOf<Fence & { held: Held; historyLine: string }>(running);
  running.node.disk.held = { run, details: JSON.stringify(held) };
  running.node.disk.history.push(historyLine);
  changed(running, 'held');
  return ok();
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* passHold(running: Running): Work {
  const { onceAs, hold } = paramsOf<{ onceAs: ReleaseId; hold: string }>(running);
  running.node.disk.once.add(`${onceAs}.${encodeURIComponent(holdMark(hold))}.done`);
  changed(running, `hold ${hold} is over`);
  return ok();
}

// biome-ignore lint/correctness/useYield: it does not wait.
function* setMaintenance(running: Running): Work {
  const { disk } = running.node;
  const { to, text } = paramsOf<Maintenance>(running);
  const isTheirs = disk.maintenance !== null && disk.maintenance !== runMark;
  if (isTheirs && (to === 'on' || text === null)) return ok('= operator\n');
  disk.maintenance = to === 'on' ? (text ?? runMark) : null;
  changed(running, `maintenance ${to}`);
  return ok();
}

/** What a run had out is from now on a person's. */
function handOver({ world, node }: Running): void {
  for (const { servers } of world.members) {
    const server = servers.get(node.name)!;
    server.isHeld = server.rotation !== 'in';
  }
}

function* receive(running: Running): Work {
  const { world, node, by } = running;
  const { disk } = node;
  const { release, digest } = paramsOf<{ release: Release; digest: string }>(running);
  const { id, revision } = release;
  if (disk.records.get(id)?.includes('complete') && disk.releases.has(id)) return ok();
  yield world.random.integer({ min: 20, max: 400 });
  if (world.clock.nowMs() < node.diskFullUntilMs) return failed('tar: write error: No space left on device');
  const got = running.digestOfInput();
  if (got !== digest) return ok(`digest ${got ?? 'e3b0c442'}\n`);
  if (!(yield* awaitTurn(node, 600_000))) return failed('the node is busy');
  if (!holdsLock(running)) return lockLost;
  disk.releases.set(id, { revision, digest, assetsOf: new Set([id]) });
  if (paramsOf<{ assets: readonly string[] }>(running).assets.length > 0) lendAssets(disk);
  changed(running, `${layout.release(id)} appears`);
  disk.records.set(id, ['complete']);
  world.tell({ kind: 'received', node, by, release: id });
  return ok(`digest ${digest}\n`);
}

/** Each release gets what the others brought themselves. */
function lendAssets({ releases }: Disk): void {
  for (const { assetsOf } of releases.values()) for (const id of releases.keys()) assetsOf.add(id);
}

function* switchTo(running: Running): Work {
  const { world, node, by, sentAtMs } = running;
  const { disk } = node;
  const { release } = paramsOf<{ release: Release }>(running);
  const { id } = release;
  if (!disk.releases.has(id)) return failed(`release ${id} is not there`);
  if (!disk.records.has(id)) disk.records.set(id, ['complete']);
  if (!disk.records.get(id)?.includes('complete')) return failed(`release ${id} is not whole`);
  markRelease(disk, id, 'live', { make: true });
  disk.current = id;
  changed(running, `current -> ${id}`);
  world.restart(node, { by, release: id, sentAtMs });
  yield world.random.integer({ min: 5, max: 300 });
  if (world.faults.activateFails(node)) return failed('activate[0] failed');
  return ok();
}

function* runHook(running: Running): Work {
  const { world, node, by } = running;
  const { once: marks, irreversible } = node.disk;
  const {
    hook,
    command,
    once,
    onceAs,
    release,
    duty = null,
    closesWayBack = false,
    workers,
  } = paramsOf<HookRun>(running);
  const mark = `${onceAs}.${encodeURIComponent(hook)}`;
  const told = (): string =>
    closesWayBack !== false && irreversible.includes(onceAs) ? '= irreversible\n' : '';
  if (once && marks.has(`${mark}.done`)) return early(told());
  if (once && marks.has(`${mark}.begun`)) return early('= cut off\n');
  const closes = once && (closesWayBack === true || closesWayBack === 'true');
  if (closes) irreversible.push(onceAs);
  if (once) marks.add(`${mark}.begun`);
  const tell = (state: 'began' | 'done' | 'failed'): void =>
    world.tell({
      kind: 'hook',
      node,
      by,
      hook,
      once,
      duty,
      closesWayBack: closes,
      release: release.id,
      state,
    });
  changed(running, `hook ${hook} runs`);
  tell('began');
  yield world.random.integer({ min: 5, max: 1500 });
  const refused = workers ? yield* letFinish(running, workers) : null;
  if (refused !== null) {
    tell('failed');
    return failed(refused);
  }
  if (command === 'false' || world.faults.hookFails(node)) {
    marks.delete(`${mark}.begun`);
    tell('failed');
    return failed('the hook says no');
  }
  if (workers) startWorker(world, node);
  if (once) marks.add(`${mark}.done`);
  tell('done');
  return ok(`done\n${told()}`);
}

/** What is wrong, or null once the worker has ended. */
function* letFinish(
  { world, node }: Running,
  { kill, drainMs }: Workers,
): Generator<number, string | null, void> {
  const { worker } = node;
  worker.turn = {};
  stopWorker(worker);
  for (let ms = 0; worker.job !== null && ms < drainMs; ms += 200) yield 200;
  if (worker.job === null) return null;
  if (kill === null) {
    startWorkerLater(world, node);
    return 'the workers did not end their jobs';
  }
  killWorker(world, node);
  return null;
}

function* putCron(running: Running): Work {
  const { disk } = running.node;
  const { run, block } = paramsOf<Fence & { block: readonly string[] }>(running);
  disk.cronSince = null;
  yield running.world.random.integer({ min: 1, max: 50 });
  disk.cron = block;
  if (!holdsLock(running)) return lockLost;
  disk.cronSince = run;
  changed(running, 'cron');
  return ok();
}

function* takeCron(running: Running): Work {
  const { disk } = running.node;
  disk.cronSince = null;
  disk.cron = [];
  changed(running, 'no cron');
  yield running.world.random.integer({ min: 1, max: 50 });
  return ok();
}

/** A job that is asked may take no notice. */
// biome-ignore lint/correctness/useYield: it does not wait.
function* endCronJobs(running: Running): Work {
  const { world, node } = running;
  const { signal } = paramsOf<{ signal: 'TERM' | 'KILL' }>(running);
  for (const job of node.jobs) if (signal === 'KILL' || world.random.chance(0.7)) endJob(world, node, job);
  return ok();
}

function* removeReleases(running: Running): Work {
  const { world, node, by } = running;
  const { disk } = node;
  for (const id of paramsOf<{ ids: readonly ReleaseId[] }>(running).ids) {
    if (disk.current === id) continue;
    if (disk.releases.has(id)) yield world.random.integer({ min: 1, max: 30 });
    disk.records.delete(id);
    for (const name of disk.once) if (name.startsWith(`${id}.`)) disk.once.delete(name);
    if (!disk.releases.delete(id)) continue;
    changed(running, `${layout.release(id)} removed`);
    world.tell({ kind: 'removed', node, by, release: id });
  }
  return ok();
}
