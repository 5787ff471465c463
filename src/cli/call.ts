import type { ExitStatus } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import type { Site } from '../core/site.ts';
import { type Paint, paintWith, wantsColour } from '../reporters/paint.ts';
import type { Output } from '../reporters/reporter.ts';
import type { Engine, Environment, OpenPorts } from './environment.ts';

/** A command as it was typed. */
export interface Call {
  readonly environment: Environment;
  /** What is not a flag, in order. */
  readonly words: readonly string[];
  readonly flags: Flags;
}

export type Command = (call: Call) => Promise<ExitStatus>;

/** Every flag of every command; which command takes which stands in `commands/index.ts`. */
export interface Flags {
  readonly ref?: string;
  readonly to?: string;
  readonly nodes?: string;
  readonly strategy?: string;
  readonly batch?: string;
  readonly onFailure?: string;
  readonly failuresMax?: string;
  readonly acrossIrreversible?: boolean;
  readonly maintenance?: boolean;
  readonly back?: boolean;
  readonly reason?: string;
  readonly runs?: string;
  readonly seed?: string;
  readonly plan?: string;
  readonly out?: string;
  readonly format?: string;
  readonly reporter?: string;
  readonly lockWait?: string;
  readonly takeOver?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly watch?: boolean;
  readonly drift?: boolean;
  readonly force?: boolean;
  readonly skipUnreachable?: boolean;
  readonly withoutQuorum?: boolean;
  readonly fenced?: boolean;
}

/** The site as the user named it, with the stage where that was left out: what to type in the next command. */
export function wantedOf({ words }: Call, { stage }: Site): string {
  const typed = words[0] ?? '';
  return typed === '' || typed.endsWith('/') ? `${typed}${stage}` : typed;
}

/** What a command on a site works with. The ports are open. */
export interface Work {
  readonly site: Site;
  readonly ports: OpenPorts;
  readonly engine: Engine;
  /** See `wantedOf`. */
  readonly wanted: string;
}

export const siteOf = ({ environment, words, flags }: Call): Promise<Site> => {
  const { strategy, batch, onFailure, failuresMax } = flags;
  return environment.config.load(words[0] ?? '', { strategy, batch, onFailure, failuresMax });
};

/** Opens the ports of a site for `work`, and closes them whatever happens. */
export async function onSite<const R>(
  call: Call,
  site: Site,
  work: (work: Work) => Promise<R>,
  emit: (event: Event) => void = warningsTo(call.environment),
): Promise<R> {
  const { environment } = call;
  const engine = await environment.engine();
  const ports = await environment.createPorts(site, emit);
  try {
    return await work({ site, ports, engine, wanted: wantedOf(call, site) });
  } finally {
    await ports.close();
  }
}

/** Commands that draw no events let no warning pass unseen. */
const warningsTo =
  ({ stderr }: Environment) =>
  (event: Event): void => {
    if (event.type === 'note' && event.level === 'warning') stderr.write(`warning: ${event.text}\n`);
  };

export const paintOf = ({ env }: Environment, output: Output): Paint =>
  paintWith(wantsColour(output.isTTY === true, env.NO_COLOR));

export const isCi = ({ env }: Environment): boolean => isSet(env.CI);

const isSet = (value: string | undefined): boolean => !['', 'false', '0'].includes(value ?? '');

/** Whose CI this is, as its variables say; null: none. */
export function ciOf(environment: Environment): 'github' | 'gitlab' | 'other' | null {
  const { GITHUB_ACTIONS, GITLAB_CI } = environment.env;
  if (isSet(GITHUB_ACTIONS)) return 'github';
  if (isSet(GITLAB_CI)) return 'gitlab';
  return isCi(environment) ? 'other' : null;
}

/** One JSON document, for other programs. */
export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
