/**
 * What to run on a node, as a value: one script for one round trip. Transports run `script`; the simulator
 * answers by `name` and `params`. Nothing in a command is secret: it stands on the node's process list.
 */
export interface NodeCommand<Result = unknown> {
  readonly name: string;
  /** Plain data: all that the script was made from. */
  readonly params: Readonly<Record<string, unknown>>;
  /** For people: shown in plans and errors. */
  readonly summary: string;
  /** POSIX sh, run with `set -eu`. Exit status 0 is success; 75 with `fenced` on stderr means the lock is lost. */
  readonly script: string;
  /** Reads the script's standard output. Throws if it is not what the script writes. */
  readonly parse: (stdout: string) => Result;
  readonly timeoutMs: number;
}

/** How a command on a node ended, when it ended. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  /** At most the last 16 KiB. */
  readonly stderr: string;
}

/** An argument list, run as it stands; or a text, the user's own, given to `sh -c` as one argument. */
export type CommandLine = readonly string[] | string;
