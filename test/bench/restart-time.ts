import { readFile } from 'node:fs/promises';
import { words } from '../../src/commands/shell.ts';
import type { Lab } from '../lab/lab.ts';
import { type LabNode, nodeProgram } from '../lab/nodes.ts';
import { onNode } from '../lab/ssh.ts';
import { median } from './median.ts';

export interface Restart {
  /** Holds two releases or more. */
  readonly deployTo: string;
  /** Answers `release <id> …`. */
  readonly url: string;
  readonly restart: readonly string[];
}

/**
 * How long an application's restart takes on a node while nothing else goes on, seen there: from the switch of `current`
 * until it answers as the release that it leads to. Seconds, the median of several.
 */
export async function restartSeconds(
  lab: Lab,
  node: LabNode,
  { deployTo, url, restart }: Restart,
): Promise<number> {
  const program = await readFile(new URL('restart-probe.mjs', import.meta.url), 'utf8');
  const probe = words(nodeProgram, '--input-type=module', '-e', program, '--', deployTo, url, ...restart);
  return median(JSON.parse(await onNode(lab, node, probe)) as number[]) / 1000;
}
