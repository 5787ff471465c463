import { type DeployError, failure } from '../../core/errors.ts';
import { type Child, runChild, shownCommand, tail } from '../child.ts';

export interface BuildCommand extends Pick<Child, 'command' | 'env' | 'timeoutMs'> {
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly redact: (text: string) => string;
  /** Takes each line of output, without secrets. */
  readonly onLine: (line: string) => void;
}

/** Runs one command of a build. Rejects with `BUILD_FAILED`, also if the signal ended it. */
export async function runBuildCommand(build: BuildCommand): Promise<void> {
  const { command, directory, env, timeoutMs, signal, redact, onLine } = build;
  const last = tail();
  const onText = (line: string) => {
    const safe = redact(line);
    onLine(safe);
    last.add(`${safe}\n`);
  };
  const output = { stdout: lines(onText), stderr: lines(onText) };
  const { endedBy, status } = await runChild({
    command,
    cwd: directory,
    env,
    timeoutMs,
    signal,
    onOutput: (text, from) => output[from].add(text),
  });
  output.stdout.end();
  output.stderr.end();
  if (endedBy === 'exit' && status === 0) return;
  const how = endedBy === 'exit' ? `status ${status}` : `a timeout of ${timeoutMs} ms`;
  throw buildFailure(redact(shownCommand(command)), how, last.text());
}

export const buildFailure = (command: string, status: string, output: string): DeployError =>
  failure('BUILD_FAILED', { command, status, output });

/** Cuts a stream of text into lines; a progress display that returns to the start of its line makes lines, too. */
function lines(onLine: (line: string) => void): { add(text: string): void; end(): void } {
  let rest = '';
  return {
    add(text) {
      const parts = (rest + text).split(/\r?\n|\r(?!$)/);
      rest = parts.pop() ?? '';
      parts.forEach(onLine);
    },
    end() {
      if (rest !== '') onLine(rest);
    },
  };
}
