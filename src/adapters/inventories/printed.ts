import type { CommandLine } from '../../core/command.ts';
import { type DeployError, failure } from '../../core/errors.ts';
import type { InventoryPlace } from '../../core/inventory.ts';
import { runChild, shownCommand, tail } from '../child.ts';

export interface Printing {
  readonly command: CommandLine;
  /** The list that it prints, for errors. */
  readonly list: string;
  readonly withinMs: number;
  /** What to say of a program that is not there; default: what the system says. */
  readonly absent?: string;
}

/**
 * What a command of the operator's machine prints as one JSON document. Rejects with `NODES_UNLISTED` if it ends with another
 * status than 0, not in time, or prints anything else.
 */
export async function printed(
  { command, list, withinMs, absent }: Printing,
  { directory, env }: InventoryPlace,
): Promise<unknown> {
  let stdout = '';
  const stderr = tail(2048);
  const stop = new AbortController();
  const { endedBy, status } = await runChild({
    command,
    cwd: directory,
    env,
    timeoutMs: withinMs,
    signal: stop.signal,
    onOutput(text, from) {
      if (from === 'stderr') stderr.add(text);
      else if (stdout.length + text.length > charactersMax) stop.abort();
      else stdout += text;
    },
  });
  const refuse = (reason: string): DeployError => failure('NODES_UNLISTED', { list, reason });
  if (endedBy === 'abort') throw refuse(`it printed more than ${charactersMax} characters`);
  if (endedBy === 'timeout') throw refuse(`it did not end within ${withinMs} ms`);
  if (status === 127 && absent !== undefined) throw refuse(absent);
  const said = stderr.text().trim();
  if (status !== 0) throw refuse(`it ended with status ${status}${said === '' ? '' : `: ${said}`}`);
  try {
    return JSON.parse(stdout);
  } catch {
    throw refuse(`expected JSON on its standard output, got ${beginning(stdout)}`);
  }
}

/** A thousand nodes, with a thousand words about each. */
const charactersMax = 8 * 1024 * 1024;

const beginning = (text: string): string =>
  text.trim() === '' ? 'nothing' : JSON.stringify(text.trim().slice(0, 60));

/** As errors and the screen name what a command prints. */
export const shownList = (command: CommandLine): string => `the command ${shownCommand(command)}`;
