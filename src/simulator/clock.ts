import type { Clock } from '../ports.ts';

/**
 * Lets everything that was woken go on until it waits again: resolves in a later turn of the event loop, once no
 * promise has anything left to do. Passed in from outside, for this room has no timers.
 */
export type NextTurn = () => Promise<void>;

/**
 * Time that passes only when all who are under way are waiting: what is to happen stands on a heap, and happens in
 * the order of its time, then in the order in which it was put there. So a seed decides every interleaving.
 */
export interface VirtualClock extends Clock {
  /** Milliseconds since the simulation began. */
  passedMs(): number;
  /** Does `work` after `ms`; it must not wait. The function that comes back calls it off. */
  after(ms: number, work: () => void): CallOff;
  /** As `after`, for work that wakes a promise: the ones that wait for it go on before anything else happens. */
  wakeAfter(ms: number, work: () => void): CallOff;
  /** Says that a promise was settled out of turn, by an abort say. */
  woken(): void;
  /** Happens until `isOver`; false if that was not reached by `untilMs`, or nothing is left to happen. */
  run(until: { readonly isOver: () => boolean; readonly untilMs: number }): Promise<boolean>;
}

export type CallOff = () => void;

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly wakes: boolean;
  work: (() => void) | null;
}

export function virtualClock(startMs: number, nextTurn: NextTurn): VirtualClock {
  const heap: Happening[] = [];
  let nowMs = 0;
  let order = 0;
  let awake = true;
  const put = (ms: number, wakes: boolean, work: () => void): CallOff => {
    const happening: Happening = { atMs: nowMs + Math.max(0, Math.round(ms)), order: order++, wakes, work };
    push(heap, happening);
    return () => {
      happening.work = null;
    };
  };
  return {
    nowMs: () => startMs + nowMs,
    passedMs: () => nowMs,
    after: (ms, work) => put(ms, false, work),
    wakeAfter: (ms, work) => put(ms, true, work),
    woken() {
      awake = true;
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = (): void => {
          callOff();
          signal?.removeEventListener('abort', wake);
          awake = true;
          resolve();
        };
        const callOff = put(ms, true, wake);
        signal?.addEventListener('abort', wake, { once: true });
      }),
    async run({ isOver, untilMs }) {
      for (;;) {
        if (awake) {
          awake = false;
          await nextTurn();
        }
        if (isOver()) return true;
        if (!heap[0] || heap[0].atMs > untilMs) {
          nowMs = untilMs;
          return false;
        }
        const next = pop(heap)!;
        nowMs = next.atMs;
        if (!next.work) continue;
        next.work();
        awake ||= next.wakes;
      }
    },
  };
}

const isBefore = (a: Happening, b: Happening): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** A binary heap: each stands before the two at twice its place and one more. */
function push(heap: Happening[], happening: Happening): void {
  let place = heap.length;
  heap.push(happening);
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (isBefore(heap[parent]!, happening)) break;
    heap[place] = heap[parent]!;
    place = parent;
  }
  heap[place] = happening;
}

function pop(heap: Happening[]): Happening | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (!first || !last || heap.length === 0) return first;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
    if (!isBefore(heap[child]!, last)) break;
    heap[place] = heap[child]!;
    place = child;
  }
  heap[place] = last;
  return first;
}
