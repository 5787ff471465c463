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
  github: async (options) => (await import('./github.ts')).githubReporter(options),
  gitlab: async (options) => (await import('./gitlab.ts')).gitlabReporter(options),
  json: async (options) => (await import('./json.ts')).jsonReporter(options),
} as const satisfies Readonly<Record<string, (options: ReporterOptions) => Promise<Reporter>>>;

export type ReporterName = keyof typeof reporters;

/** A person at a terminal sees what moves; pipes get lines, and a CI those that suit its log, even where it offers a terminal. */
export function chooseReporter(where: {
  readonly json: boolean;
  readonly isTTY: boolean;
  readonly ci: 'github' | 'gitlab' | 'other' | null;
}): ReporterName {
  if (where.json) return 'json';
  if (where.ci === null) return where.isTTY ? 'pretty' : 'plain';
  return where.ci === 'other' || where.isTTY ? 'plain' : where.ci;
}
