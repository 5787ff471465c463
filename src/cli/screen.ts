import { failure, list, messageOf } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { chooseReporter, type ReporterName, reporters } from '../reporters/index.ts';
import { wantsColour } from '../reporters/paint.ts';
import type { Reporter } from '../reporters/reporter.ts';
import { type Call, ciOf } from './call.ts';
import type { Environment } from './environment.ts';

/** The reporter that was asked for, or suits where standard output goes. Throws `USAGE` for one that there is not. */
export async function reporterOf(call: Call, wanted: string): Promise<Reporter> {
  const { environment, flags } = call;
  const { stdout, env } = environment;
  // A terminal that says it has no columns has no place for a line that moves.
  const isTTY = stdout.isTTY === true && stdout.columns !== 0;
  const fitting = chooseReporter({ json: flags.json ?? false, isTTY, ci: ciOf(environment) });
  const file = env.GITHUB_STEP_SUMMARY;
  return reporters[namedReporter(call) ?? fitting]({
    output: stdout,
    wanted,
    verbose: flags.verbose ?? false,
    colour: wantsColour(isTTY, env.NO_COLOR),
    ...(file ? { summary: (markdown) => appendTo(environment, file, markdown) } : {}),
  });
}

function namedReporter({ flags: { reporter, json } }: Call): ReporterName | null {
  if (reporter === undefined) return null;
  const known = Object.keys(reporters);
  if (!known.includes(reporter)) {
    const near = nearest(reporter, known);
    throw failure('USAGE', {
      problem: `--reporter: expected ${list(known)}, got ${JSON.stringify(reporter)}`,
      ...(near === null ? {} : { hint: `did you mean ${near}?` }),
    });
  }
  if (json && reporter !== 'json')
    throw failure('USAGE', { problem: `--json and --reporter ${reporter} differ: leave one out.` });
  return reporter as ReporterName;
}

/** The run has ended by then: that its summary cannot be kept is said, and changes nothing. */
function appendTo({ files, stderr }: Environment, file: string, text: string): void {
  try {
    files.append(file, text);
  } catch (error) {
    stderr.write(`warning: the summary could not be written to ${file}: ${messageOf(error)}\n`);
  }
}
