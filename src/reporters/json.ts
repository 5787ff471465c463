import type { Reporter, ReporterOptions } from './reporter.ts';

/** Each event as one line of JSON, for other programs. */
export const jsonReporter = ({ output }: Pick<ReporterOptions, 'output'>): Reporter => ({
  draw(event) {
    output.write(`${JSON.stringify(event)}\n`);
  },
  clear() {},
});
