import type { CommandResult, NodeCommand } from '../../core/command.ts';
import { failure } from '../../core/errors.ts';
import type { Host } from '../../ports.ts';
import { stdoutBytesMax } from './output.ts';
import type { ProcessEnd } from './process.ts';

/** The result of a command that ended, or the error that `Transport` promises for one that was ended. */
export function commandEnd(host: Pick<Host, 'name'>, command: NodeCommand, end: ProcessEnd): CommandResult {
  const of = { node: host.name, command: command.summary };
  switch (end.endedBy) {
    case 'exit':
      return { status: end.status, stdout: end.stdout, stderr: end.stderr };
    case 'timeout':
      throw failure('COMMAND_TIMEOUT', { ...of, withinMs: command.timeoutMs });
    case 'abort':
      throw failure('OUTCOME_UNKNOWN', { ...of, reason: 'it was interrupted here' });
    case 'output':
      throw failure('OUTPUT_TOO_LONG', { ...of, bytesMax: stdoutBytesMax });
  }
}
