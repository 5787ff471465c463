import { createInterface } from 'node:readline';
import { failure } from '../core/errors.ts';
import { type Call, isCi } from './call.ts';
import type { Environment } from './environment.ts';

/** Asks a person one thing; null at the end of input, and on a signal. */
export type Ask = (question: string) => Promise<string | null>;

/**
 * Lets `work` ask, any number of times. Questions stand on standard error, which stays a terminal where output is
 * piped on. Lines are read as the terminal gives them: in raw mode Ctrl-C would not be a signal. Standard input is
 * left alone until the first question, for it may belong to a loop of the shell around us.
 */
export async function asking<R>(
  { stdin, stderr, signal }: Environment,
  work: (ask: Ask) => Promise<R>,
): Promise<R> {
  const open = () => {
    const lines = createInterface({ input: stdin, terminal: false, signal });
    return { lines, answers: lines[Symbol.asyncIterator]() };
  };
  let input: ReturnType<typeof open> | null = null;
  try {
    return await work(async (question) => {
      stderr.write(question);
      if (input === null && stdin.readableEnded) return null;
      input ??= open();
      const answer = await input.answers.next();
      return answer.done ? null : answer.value;
    });
  } finally {
    // The compiler does not see that `work` may have opened it.
    (input as ReturnType<typeof open> | null)?.lines.close();
  }
}

/** Throws `USAGE` if `--yes` is missing where nobody can be asked. */
export function mustBeConfirmable({ environment, flags }: Call, command: string): void {
  if (flags.yes || isCi(environment) || isInteractive(environment)) return;
  throw failure('USAGE', {
    problem: `${command} asks before it changes anything, and this is no terminal: add --yes.`,
  });
}

/** Whether to go on: asked on a terminal, implied by `--yes` and in CI. */
export async function confirmed({ environment, flags }: Call, question: string, ask: Ask): Promise<boolean> {
  if (flags.yes || isCi(environment)) return true;
  const answer = await ask(`${question} [y/N] `);
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

export const isInteractive = ({ stdin, stderr }: Environment): boolean =>
  stdin.isTTY === true && stderr.isTTY === true;
