import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface CommandLinesWatch {
  /** Those that were found up to now. */
  found(): readonly string[];
  stop(): Promise<readonly string[]>;
}

/** Reads the command lines of all processes, on this machine and on the nodes, all the time: those that ever held `text`. */
export function watchCommandLines(text: string): CommandLinesWatch {
  const found = new Set<string>();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
        const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
        if (line.includes(text)) found.add(line.replaceAll('\0', ' '));
      }
      await sleep(2);
    }
  })();
  return {
    found: () => [...found],
    async stop() {
      isOver = true;
      await watching;
      return [...found];
    },
  };
}
