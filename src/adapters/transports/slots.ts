/** Runs tasks, at most `tasksMax` at a time; the others wait their turn, first come, first served. */
export function slots(tasksMax: number): Slots {
  const waiting: (() => void)[] = [];
  let free = tasksMax;
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

export type Slots = <T>(task: () => Promise<T>) => Promise<T>;
