import { spawnSync } from 'node:child_process';
import { program } from './contenders/sluice.ts';
import { median } from './median.ts';

const commands = {
  node: ['-e', '0'],
  version: [program, '--version'],
  help: [program, '--help'],
} as const;

/** How long the smallest commands take beside Node.js itself: seconds, medians of 15 runs in turn. */
export function startupSeconds(): Readonly<Record<keyof typeof commands, number>> {
  const took = { node: [], version: [], help: [] } as Record<keyof typeof commands, number[]>;
  for (let turn = 0; turn < turns; turn++)
    for (const [name, words] of Object.entries(commands)) took[name as keyof typeof took].push(time(words));
  return { node: median(took.node), version: median(took.version), help: median(took.help) };
}

const turns = 15;

function time(words: readonly string[]): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, words);
  if (status !== 0) throw new Error(`node ${words.join(' ')} ended with ${status}: ${stderr}`);
  return (performance.now() - startMs) / 1000;
}
