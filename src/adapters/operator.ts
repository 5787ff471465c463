import { hostname, userInfo } from 'node:os';
import { failure } from '../core/errors.ts';
import type { Operator } from '../ports.ts';
import { runChild, shownCommand, tail } from './child.ts';
import { revealed } from './revealed.ts';

/**
 * The machine on which sluice runs. `env` is the environment of the process: it names the person behind a CI job
 * (GITHUB_ACTOR, GITLAB_USER_LOGIN), and commands inherit it.
 */
export function systemOperator(env: Readonly<Record<string, string | undefined>>): Operator {
  const host = hostname();
  return {
    name: `${env.GITHUB_ACTOR || env.GITLAB_USER_LOGIN || login(env)}@${host}`,
    host,
    async run(command, { env: more, timeoutMs, signal }) {
      const output = { stdout: tail(), stderr: tail() };
      const { endedBy, status } = await runChild({
        command,
        env: { ...env, ...revealed(more) },
        timeoutMs,
        signal,
        onOutput: (text, from) => output[from].add(text),
      });
      if (endedBy === 'abort') throw signal?.reason;
      if (endedBy === 'timeout') {
        throw failure('COMMAND_TIMEOUT', { node: host, command: shownCommand(command), withinMs: timeoutMs });
      }
      return { status, stdout: output.stdout.text(), stderr: output.stderr.text() };
    },
  };
}

/** A container may run as a user id that has no name. */
function login(env: Readonly<Record<string, string | undefined>>): string {
  try {
    return userInfo().username;
  } catch {
    return env.USER || `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
