import { expect, test } from 'vitest';
import { deploy, resume, sync } from '../../src/engine/deploy.ts';
import { takeOver } from '../../src/engine/take-over.ts';
import { benchSite } from './bench-site.ts';

const hooks = [
  {
    name: 'warm',
    point: 'before:deploy',
    action: { kind: 'operator', command: ['warm'], timeoutMs: 9000 },
  },
] as const;
const aDayMs = 86_400_000;

/** A deploy that is under way, and goes on once `finish` is called. */
async function underWay() {
  const bench = benchSite(2, { hooks: [...hooks] });
  let finish = (): void => {};
  const mayEnd = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let hasBegun = (): void => {};
  const begun = new Promise<void>((resolve) => {
    hasBegun = resolve;
  });
  let first = true;
  bench.faults.operator = async () => {
    hasBegun();
    if (first) await mayEnd;
    first = false;
    return { status: 0, stdout: '', stderr: '' };
  };
  const running = bench.deploy(1);
  await begun;
  return { bench, running, finish };
}

const waits =
  /^waits for ada@desk \(from desk\) to end: deploy 1 as \d{14}, since .*; for \d+ s more at most$/;

const notes = ({ events }: ReturnType<typeof benchSite>): readonly string[] =>
  events.flatMap((event) => (event.type === 'note' ? [event.text] : []));

test('without a time to wait, a run is refused at once', async () => {
  const { bench, running, finish } = await underWay();
  expect(await bench.deploy(2)).toMatchObject({ outcome: 'locked', exit: 5 });
  expect(notes(bench)).toEqual([]);
  finish();
  await running;
});

test('a deploy that waits says for whom, and goes on from what is so then', async () => {
  const { bench, running, finish } = await underWay();
  const { emit } = bench.ports;
  const waiting = deploy(
    { ...bench.request(1), ref: '2', lockWaitMs: aDayMs },
    {
      ...bench.ports,
      emit(event) {
        emit(event);
        if (event.type === 'note' && waits.test(event.text)) finish();
      },
    },
  );
  expect(await running).toMatchObject({ outcome: 'done' });
  expect(await waiting).toMatchObject({ outcome: 'done', exit: 0 });
  expect(notes(bench)[0]).toMatch(waits);
  expect(bench.list('web1', 'releases')).toHaveLength(2);
  expect(bench.locked()).toEqual([]);
});

test('the waiting ends with its time, and a signal ends it before', async () => {
  const { bench, running, finish } = await underWay();
  const beganMs = bench.ports.clock.nowMs();
  const late = await deploy({ ...bench.request(1), ref: '2', lockWaitMs: 70_000 }, bench.ports);
  expect(late).toMatchObject({ outcome: 'locked', exit: 5, failure: { code: 'LOCKED' } });
  expect(bench.ports.clock.nowMs() - beganMs).toBeLessThan(80_000);
  expect(notes(bench)).toHaveLength(2);

  const controller = new AbortController();
  const { sleep } = bench.ports.clock;
  const clock = {
    ...bench.ports.clock,
    sleep(ms: number) {
      controller.abort('SIGTERM');
      return sleep(ms);
    },
  };
  const ended = await deploy(
    { ...bench.request(1), ref: '2', lockWaitMs: aDayMs, signal: controller.signal },
    { ...bench.ports, clock },
  );
  expect(ended).toMatchObject({ outcome: 'interrupted', exit: 143 });
  finish();
  await running;
});

/** A deploy whose process was killed, and has been silent for as long as a dead one is. */
async function died() {
  const bench = benchSite(2);
  const before = await bench.deployed(1);
  const { ports, died: killed } = bench.mortal(({ name }) => name === 'switch');
  void deploy({ ...bench.request(1), ref: '2' }, ports);
  await killed;
  const silence = (ms: number): void => {
    for (const node of ['web1', 'web2'])
      bench.write(node, '.sluice/heartbeat', `${Math.floor((Date.now() - ms) / 1000)}\n`);
  };
  silence(100_000);
  return { bench, before, silence };
}

test('a dead run is not waited for: the hint says what ends it', async () => {
  const { bench } = await died();
  const beganMs = bench.ports.clock.nowMs();
  const refused = await deploy({ ...bench.request(1), ref: '3', lockWaitMs: aDayMs }, bench.ports);
  expect(refused).toMatchObject({ outcome: 'locked', exit: 5 });
  expect(refused.failure?.hint).toContain('sluice resume finishes it, sluice abort goes back');
  expect(bench.ports.clock.nowMs() - beganMs).toBeLessThan(1000);
});

test('resume waits until a run that may be alive was silent for long enough', async () => {
  const { bench, silence } = await died();
  silence(0);
  const { emit } = bench.ports;
  const ports: typeof bench.ports = {
    ...bench.ports,
    emit(event) {
      emit(event);
      if (event.type === 'note') silence(100_000);
    },
  };
  const request = { ...bench.request(1), force: false };
  expect(await resume(request, bench.ports)).toMatchObject({ exit: 5, failure: { code: 'HOLDER_ALIVE' } });
  expect(await resume({ ...request, lockWaitMs: aDayMs }, ports)).toMatchObject({ outcome: 'done', exit: 0 });
});

test.each([
  ['resume', false],
  ['abort', true],
] as const)('take-over: %s ends what a dead run left', async (by, isBack) => {
  const { bench, before } = await died();
  expect(await takeOver({ ...bench.request(1), nodes: ['web2'], by }, bench.ports)).toMatchObject({
    exit: 0,
  });
  expect(new Set(bench.lives()).size).toBe(1);
  expect(bench.lives()[0] === before).toBe(isBack);
  expect(bench.locked()).toEqual([]);
});

test('take-over leaves a run that lives, and one that is held, to others', async () => {
  const { bench, silence } = await died();
  silence(0);
  expect(await takeOver({ ...bench.request(1), by: 'abort' }, bench.ports)).toBeNull();
  const free = benchSite(2);
  expect(await takeOver({ ...free.request(1), by: 'abort' }, free.ports)).toBeNull();
  expect(free.events).toEqual([]);
});

test('a sync waits as well', async () => {
  const { bench, running, finish } = await underWay();
  const { emit } = bench.ports;
  const ports: typeof bench.ports = {
    ...bench.ports,
    emit(event) {
      emit(event);
      if (event.type === 'note') finish();
    },
  };
  const report = await sync({ ...bench.request(1), to: null, lockWaitMs: aDayMs }, ports);
  expect(report).toMatchObject({ outcome: 'nothing to do', exit: 0 });
  await running;
});
