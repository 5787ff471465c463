import { CommanderError } from 'commander';
import { type DeployError, type ErrorCode, type ExitStatus, failure, isDeployError } from '../core/errors.ts';
import { paintOf } from './call.ts';
import type { Environment } from './environment.ts';

/** Says what went wrong and what to do next, on standard error; returns the exit status that goes with it. */
export function showError(error: unknown, environment: Environment): ExitStatus {
  const { stderr, signal } = environment;
  const paint = paintOf(environment, stderr);
  if (error instanceof CommanderError) return showError(usage(error), environment);
  if (signal.aborted && error === signal.reason) {
    return showError(failure('INTERRUPTED', { signal: String(signal.reason) }), environment);
  }
  if (!isDeployError(error)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    stderr.write(`${paint.bad('A bug in sluice, which stopped:')}\n${trace}\n`);
    return 3;
  }
  stderr.write(`${paint.bad(error.message)}\n`);
  if (error.hint !== null) stderr.write(`${paint.strong('hint:')} ${error.hint}\n`);
  return signal.aborted ? (signal.reason === 'SIGTERM' ? 143 : 130) : statusOf(error);
}

/** commander's own words, as a sentence with the nearest name: `unknown option '--yess'; did you mean --yes?` */
function usage({ message }: CommanderError): DeployError {
  const problem = message
    .replace(/^error: /, '')
    .trim()
    .replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?');
  return failure('USAGE', {
    problem: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}`,
    hint: 'sluice --help shows the commands; sluice <command> --help shows its flags.',
  });
}

/** For commands that end without a report: before anything was touched, unless the failure says otherwise. */
const statusOf = ({ code }: DeployError): ExitStatus => statuses[code] ?? 2;

const statuses: { readonly [C in ErrorCode]?: ExitStatus } = {
  LOCKED: 5,
  LOCK_RACE: 5,
  NODE_BUSY: 5,
  LOCK_LOST: 3,
  OUTCOME_UNKNOWN: 3,
  CRON_BUSY: 1,
  CRON_ELSEWHERE: 3,
  DRAIN_TIMEOUT: 3,
  ENABLE_TIMEOUT: 3,
  CHECK_FAILED: 3,
  CHECK_TIMEOUT: 3,
  WRONG_RELEASE: 3,
  BALANCER_REFUSED: 3,
  BALANCER_NOT_APPLIED: 3,
  NODES_FAILED: 3,
};
