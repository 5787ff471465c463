import { Command as Commander, CommanderError } from 'commander';
import type { Flags } from './call.ts';
import { type CommandEntry, commandEntries, flags, operands } from './commands/index.ts';
import type { Environment } from './environment.ts';
import { showError } from './show-error.ts';

/** Runs what was typed, and resolves to the exit status. Never rejects: every failure is shown. */
export async function run(environment: Environment): Promise<number> {
  let status = 0;
  const program = createProgram(environment, (of) => {
    status = of;
  });
  try {
    await program.parseAsync(environment.argv, { from: 'user' });
    return status;
  } catch (error) {
    // Help and --version end like errors, with the status 0.
    if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) {
      return error.exitCode === 0 ? 0 : 2;
    }
    return showError(error, environment);
  }
}

/** All commands with their flags; `ended` gets the status of the one that is run. */
export function createProgram(environment: Environment, ended: (status: number) => void): Commander {
  const { stdout, stderr } = environment;
  const program = new Commander('sluice')
    .description('Releases web sites without spilling a request.')
    .version(environment.version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .helpCommand('help [command]', 'print the help of a command')
    .configureHelp({
      subcommandTerm: (command) => `${command.name()} ${command.usage().replace('[options]', '').trim()}`,
    })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? 80,
      getErrHelpWidth: () => stderr.columns ?? 80,
      outputError: () => {},
    });
  for (const entry of commandEntries) addCommand(program, entry, environment, ended);
  return program.addHelpText('after', '\nsluice <command> --help prints its flags, with examples.');
}

function addCommand(
  program: Commander,
  entry: CommandEntry,
  environment: Environment,
  ended: (status: number) => void,
): void {
  const command = program.command(entry.name).description(entry.summary);
  for (const [shape, meaning] of entry.operands.map((operand) => operands[operand]))
    command.argument(shape, meaning);
  for (const [shape, summary] of entry.flags.map((flag) => flags[flag])) command.option(shape, summary);
  command.addHelpText('after', `\nExamples:\n${entry.examples.map((example) => `  ${example}`).join('\n')}`);
  command.action(async () => {
    const work = await entry.load();
    // commander hands over exactly the flags that are declared above, as texts and booleans.
    ended(await work({ environment, words: command.args, flags: command.opts() as Flags }));
  });
}
