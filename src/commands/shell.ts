/** The only place that quotes. POSIX single quotes: nothing inside them means anything to a shell. */
import type { CommandLine } from '../core/command.ts';
export const quote = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;

/** One simple command from an argument list. */
export const words = (...command: readonly string[]): string => command.map(quote).join(' ');

/** A user's command: an argument list as it stands, a text as the one argument of `sh -c`. */
export const userCommand = (command: CommandLine): string =>
  typeof command === 'string' ? words('sh', '-c', command) : words(...command);

/**
 * The text that a login shell gets to run `script` under `sh`, as the user `become` if that is not null. sudo
 * never asks: a password prompt would wait for ever.
 */
export const loginCommand = (script: string, become: string | null): string =>
  become === null ? words('sh', '-c', script) : words('sudo', '-n', '-u', become, '--', 'sh', '-c', script);

/** What a transport sends to run a node command: its script under `set -eu`, so that no failing line is passed over. */
export const strictCommand = (script: string, become: string | null): string =>
  loginCommand(`set -eu\n${script}`, become);
