import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { slots } from '../../../src/adapters/transports/slots.ts';

test('never more tasks run than there are slots, in order, and a failing task gives its slot back', async () => {
  const inSlot = slots(3);
  const order: number[] = [];
  let running = 0;
  let runningMax = 0;
  const task = (n: number) => async () => {
    order.push(n);
    running += 1;
    runningMax = Math.max(runningMax, running);
    await sleep(1);
    running -= 1;
    if (n % 2 === 0) throw new Error(`task ${n}`);
    return n;
  };
  const results = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => inSlot(task(n))));
  expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(runningMax).toBe(3);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
});
