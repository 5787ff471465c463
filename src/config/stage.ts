import {
  isPlainObject,
  type Parsed,
  parsed,
  parseField,
  problem,
  problemsOf,
  unexpected,
} from '../core/field.ts';
import { suggestion } from '../core/nearest.ts';
import type { siteFields } from './fields.ts';
import { isAbout, merge } from './layers.ts';

/** What a config says at one stage, not yet read. */
export interface StageSettings {
  readonly settings: Readonly<Record<string, unknown>>;
  /** A problem with the settings, its path as the file has it: `stages.production.…` for what the stage wrote. */
  place(problem: string): string;
}

/** Lays the settings of the stage over those of all stages. */
export function atStage(
  config: unknown,
  stage: string,
  fields: Pick<ReturnType<typeof siteFields>, 'stages'>,
): Parsed<StageSettings> {
  if (!isPlainObject(config)) return unexpected('', 'an object of settings', config);
  if (!isBounded(config))
    return problem('', 'expected a config that a person could have written, got one without end');
  // `$schema` speaks to editors.
  const { $schema: _, ...raw } = config;
  const stages = parseField(fields.stages, raw.stages, 'stages');
  if (!stages.ok) return stages;
  const over = Object.hasOwn(stages.value, stage) ? stages.value[stage] : undefined;
  if (over === undefined) {
    return problem('stages', `there is no stage ${stage}${suggestion(stage, Object.keys(stages.value))}`);
  }
  const fixed = ['name', 'stages'].filter((key) => Object.hasOwn(over, key));
  const problems = fixed.flatMap((key) =>
    problemsOf(problem(`stages.${stage}.${key}`, 'a stage cannot change it')),
  );
  if (problems.length > 0) return { ok: false, problems };
  return parsed({
    settings: merge(raw, over),
    place: (text) => (isAbout(text, raw, over) ? `stages.${stage}.${text}` : text),
  });
}

/** The stages that a config has, as far as it can be read. */
export const stagesOf = (raw: unknown): readonly string[] =>
  isPlainObject(raw) && isPlainObject(raw.stages) ? Object.keys(raw.stages) : [];

const valuesMax = 100_000;
const depthMax = 50;

/** False if anchors in YAML lead back to themselves, or multiply into more values than memory holds. */
function isBounded(raw: unknown): boolean {
  let values = 0;
  const visit = (value: unknown, depth: number): boolean => {
    values += 1;
    if (values > valuesMax || depth > depthMax) return false;
    return (
      typeof value !== 'object' ||
      value === null ||
      Object.values(value).every((each) => visit(each, depth + 1))
    );
  };
  return visit(raw, 0);
}
