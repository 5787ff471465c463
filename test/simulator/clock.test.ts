import { expect, test } from 'vitest';
import { type VirtualClock, virtualClock } from '../../src/simulator/clock.ts';
import { nextTurn } from './seeds.ts';

const newClock = (): VirtualClock => virtualClock(1000, nextTurn);
const never = (): boolean => false;

test('what is put on the clock happens in the order of its time, then of its coming', async () => {
  const clock = newClock();
  const seen: string[] = [];
  clock.after(20, () => seen.push(`late at ${clock.passedMs()}`));
  clock.after(10, () => seen.push(`first at ${clock.passedMs()}`));
  clock.after(10, () => seen.push(`second at ${clock.passedMs()}`));
  expect(await clock.run({ isOver: never, untilMs: 100 })).toBe(false);
  expect(seen).toEqual(['first at 10', 'second at 10', 'late at 20']);
  expect(clock.nowMs()).toBe(1100);
});

test('a thousand happenings come in order, whatever order they were put in', async () => {
  const clock = newClock();
  const seen: number[] = [];
  for (let n = 0; n < 1000; n++) clock.after((n * 7919) % 1000, () => seen.push(clock.passedMs()));
  await clock.run({ isOver: never, untilMs: 2000 });
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen).toHaveLength(1000);
});

test('time does not pass while one who was woken has something left to do', async () => {
  const clock = newClock();
  const seen: string[] = [];
  clock.after(11, () => seen.push('later'));
  void (async () => {
    await clock.sleep(10);
    for (let n = 0; n < 100; n++) await Promise.resolve();
    seen.push(`done at ${clock.passedMs()}`);
  })();
  await clock.run({ isOver: never, untilMs: 100 });
  expect(seen).toEqual(['done at 10', 'later']);
});

test('a sleep ends as soon as it is aborted, and never rejects', async () => {
  const clock = newClock();
  const stop = new AbortController();
  let wokenAtMs = -1;
  void clock.sleep(50_000, stop.signal).then(() => {
    wokenAtMs = clock.passedMs();
  });
  clock.after(10, () => stop.abort());
  clock.after(20, () => {});
  await clock.run({ isOver: never, untilMs: 100 });
  expect(wokenAtMs).toBe(10);
  await clock.sleep(50_000, stop.signal);
});

test('what is called off does not happen', async () => {
  const clock = newClock();
  let happened = false;
  const callOff = clock.after(10, () => {
    happened = true;
  });
  callOff();
  await clock.run({ isOver: never, untilMs: 100 });
  expect(happened).toBe(false);
});

test('it stops at the moment at which it is over', async () => {
  const clock = newClock();
  let count = 0;
  const again = (): void => {
    count++;
    clock.after(10, again);
  };
  clock.after(10, again);
  expect(await clock.run({ isOver: () => count === 3, untilMs: 1000 })).toBe(true);
  expect(clock.passedMs()).toBe(30);
});

test('what lies beyond the end of a run happens in the next one', async () => {
  const clock = newClock();
  let happened = false;
  clock.after(150, () => {
    happened = true;
  });
  await clock.run({ isOver: never, untilMs: 100 });
  expect([happened, clock.passedMs()]).toEqual([false, 100]);
  await clock.run({ isOver: never, untilMs: 200 });
  expect(happened).toBe(true);
});
