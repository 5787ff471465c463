import ora from 'ora';
import type { Spinner } from './pretty.ts';
import type { Output } from './reporter.ts';

/** ora on one stream. Keys are left alone: in raw mode Ctrl-C would not be a signal. */
export function oraSpinner(output: Output, colour: boolean): Spinner {
  const spinner = ora({
    stream: output,
    isEnabled: true,
    discardStdin: false,
    color: colour ? 'cyan' : false,
  });
  return {
    show(text) {
      spinner.text = text;
      if (!spinner.isSpinning) spinner.start();
    },
    hide() {
      if (spinner.isSpinning) spinner.stop();
    },
  };
}
