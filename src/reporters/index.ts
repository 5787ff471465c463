import type { Reporter, ReporterOptions } from './reporter.ts';

/** Every reporter, loaded only when it is used. */
export const reporters = {
  pretty: async (options) => {
    const [{ prettyReporter }, { oraSpinner }] = await Promise.all([
      import('./pretty.ts'),
      import('./spinner.ts'),
    ]);
    return prettyReporter({ ...options, spinner: oraSpinner(options.output, options.colour) });
  },
  plain: async (options) => (await import('./plain.ts')).plainReporter(options),
  json: async (options) => (await import('./json.ts')).jsonReporter(options),
} as const satisfies Readonly<Record<string, (options: ReporterOptions) => Promise<Reporter>>>;

/** A person at a terminal sees what moves; CI and pipes get lines, even where CI offers a terminal. */
export function chooseReporter(where: {
  readonly json: boolean;
  readonly isTTY: boolean;
  readonly ci: boolean;
}): keyof typeof reporters {
  if (where.json) return 'json';
  return where.isTTY && !where.ci ? 'pretty' : 'plain';
}
