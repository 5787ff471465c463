import { chooseReporter, reporters } from '../reporters/index.ts';
import { wantsColour } from '../reporters/paint.ts';
import type { Reporter } from '../reporters/reporter.ts';
import { type Call, isCi } from './call.ts';

/** The reporter that suits where standard output goes. */
export function reporterOf(call: Call, wanted: string): Promise<Reporter> {
  const { environment, flags } = call;
  const { stdout, env } = environment;
  // A terminal that says it has no columns has no place for a line that moves.
  const isTTY = stdout.isTTY === true && stdout.columns !== 0;
  const kind = chooseReporter({ json: flags.json ?? false, isTTY, ci: isCi(environment) });
  return reporters[kind]({
    output: stdout,
    wanted,
    verbose: flags.verbose ?? false,
    colour: wantsColour(isTTY, env.NO_COLOR),
  });
}
