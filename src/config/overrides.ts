import { list } from '../core/errors.ts';
import { isPlainObject, type Parsed, parsed, problem } from '../core/field.ts';
import { isOwnStrategy } from '../core/strategy.ts';
import type { Registries } from './fields.ts';
import { merge } from './layers.ts';
import type { StageSettings } from './stage.ts';

/** What the command line says over the config. */
export interface Overrides {
  readonly strategy?: string | undefined;
  /** `2`, `30%`, or several of them: `1,30%,100%`. */
  readonly batch?: string | undefined;
  readonly onFailure?: string | undefined;
  /** `2` or `10%`. */
  readonly failuresMax?: string | undefined;
}

/** Lays them over the settings; problems that they cause begin with the flag. */
export function withOverrides(
  { settings, place }: StageSettings,
  overrides: Overrides,
  { strategies }: Pick<Registries, 'strategies'>,
): Parsed<StageSettings> {
  const isOwn = isOwnStrategy(settings.strategy);
  if (isOwn && overrides.batch !== undefined && overrides.strategy === undefined)
    return problem('--batch', 'the config brings a strategy of its own, which has no option batch');
  const name = overrides.strategy ?? strategyName(settings.strategy);
  if (overrides.batch !== undefined && Object.hasOwn(strategies, name)) {
    const options = Object.keys(strategies[name]!.options);
    if (!options.includes('batch')) {
      return problem('--batch', `strategy ${name} has no option batch; its options are: ${list(options)}`);
    }
  }
  return parsed({
    settings: merge(
      isOwn && overrides.strategy !== undefined ? { ...settings, strategy: {} } : settings,
      layerOf(overrides, name),
    ),
    place: (text) => flagOf(text, overrides) ?? place(text),
  });
}

const strategyName = (setting: unknown): string =>
  String((isPlainObject(setting) ? setting.name : setting) ?? 'rolling');

const layerOf = (
  { strategy, batch, onFailure, failuresMax }: Overrides,
  name: string,
): Readonly<Record<string, unknown>> => ({
  ...(strategy === undefined && batch === undefined
    ? {}
    : {
        strategy: {
          name,
          ...(batch === undefined ? {} : { batch: batch.split(',').map((size) => size.trim()) }),
        },
      }),
  ...(onFailure === undefined ? {} : { onFailure }),
  ...(failuresMax === undefined
    ? {}
    : { failuresMax: /^\d+$/.test(failuresMax) ? Number(failuresMax) : failuresMax }),
});

/** The problem as it reads for a flag, if one caused it. */
function flagOf(text: string, { strategy, batch, onFailure, failuresMax }: Overrides): string | null {
  const flags = [
    { given: batch, path: /^strategy\.batch(\[\d+\])?/, flag: '--batch' },
    { given: strategy, path: /^strategy(\.name)?(?=:)/, flag: '--strategy' },
    { given: onFailure, path: /^onFailure/, flag: '--on-failure' },
    { given: failuresMax, path: /^failuresMax/, flag: '--failures-max' },
  ];
  const cause = flags.find(({ given, path }) => given !== undefined && path.test(text));
  return cause ? text.replace(cause.path, cause.flag) : null;
}
