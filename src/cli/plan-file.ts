import { createHash } from 'node:crypto';
import { failure, messageOf } from '../core/errors.ts';
import { isPlainObject } from '../core/field.ts';
import type { Before } from '../core/intent.ts';
import { livePool } from '../core/observation.ts';
import type { Plan, PlannedStep } from '../core/plan.ts';
import { isReleaseId, isRevision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Proposal } from '../engine/deploy.ts';
import { releasesOn } from '../engine/propose.ts';
import { releaseText } from '../reporters/release-text.ts';
import { stepText } from '../reporters/step-text.ts';
import type { Call, Flags } from './call.ts';

/** A plan that one job makes and people approve, for another to carry out: what it is for, and all that it rests on. */
export interface PlanFile {
  /** Of sluice: another one might mean something else by the same step. */
  readonly version: string;
  readonly site: string;
  readonly stage: string;
  /** What was asked for, such as a branch. The plan says which revision that was. */
  readonly ref: string;
  readonly flags: Pick<Flags, PlanFlag>;
  /** A digest for each setting: secrets and what they hide stay out of the file. */
  readonly settings: Readonly<Record<string, string>>;
  /** What each node had. */
  readonly before: Before;
  /** The pool that got the traffic. */
  readonly pool: string | null;
  readonly plan: Plan;
}

/** What shapes a plan. A deploy of the file takes these from there. */
const planFlags = [
  'ref',
  'nodes',
  'strategy',
  'batch',
  'onFailure',
  'failuresMax',
  'skipUnreachable',
  'maintenance',
] as const satisfies readonly (keyof Flags)[];
type PlanFlag = (typeof planFlags)[number];

export function planFileText({ environment, flags }: Call, site: Site, proposal: Proposal): string {
  const { plan, observed } = proposal;
  const content: PlanFile = {
    version: environment.version,
    site: site.name,
    stage: site.stage,
    ref: refOf({ flags }, site),
    flags: Object.fromEntries(planFlags.flatMap((flag) => (flag in flags ? [[flag, flags[flag]]] : []))),
    settings: settingsOf(site),
    before: releasesOn(observed),
    pool: livePool(observed),
    plan,
  };
  return `${JSON.stringify({ digest: digestOf(content), ...content }, null, 2)}\n`;
}

export const refOf = ({ flags }: Pick<Call, 'flags'>, site: Site): string => flags.ref ?? site.source.ref;

/** Throws `PLAN_FILE_UNFIT` unless the file is whole, as it was written, and by this version. */
export function readPlanFile({ environment }: Call, file: string): PlanFile {
  const unfit = (problem: string) => failure('PLAN_FILE_UNFIT', { file, problem });
  const { digest, ...content } = parseObject(
    textOf(() => environment.files.read(file), unfit),
    unfit,
  );
  if (digest === undefined) throw unfit('it is no plan of sluice');
  if (digest !== digestOf(content)) throw unfit('it was changed after it was made: its digest does not fit');
  if (content.version !== environment.version)
    throw unfit(`it was made by sluice ${content.version}, and this is ${environment.version}`);
  if (!isWhole(content)) throw unfit('it is not whole');
  return content;
}

type Unfit = (problem: string) => Error;

function textOf(read: () => string, unfit: Unfit): string {
  try {
    return read();
  } catch (error) {
    throw unfit(`it could not be read: ${messageOf(error)}`);
  }
}

function parseObject(text: string, unfit: Unfit): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isPlainObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw unfit('it is no plan of sluice');
}

/** The digest shows that sluice wrote the rest; what is handed to git and to nodes is looked at all the same. */
function isWhole(content: object): content is PlanFile {
  const { plan, settings, before, flags } = content as PlanFile;
  const { id, revision } = plan?.target?.release ?? {};
  const isReleased = isReleaseId(String(id)) && isRevision(String(revision));
  return isReleased && Array.isArray(plan.steps) && [settings, before, flags].every(isPlainObject);
}

/** The call as if what shapes the plan had been typed again, and the question been answered. */
export function callOf(call: Call, file: PlanFile): Call {
  const twice = planFlags.find((flag) => call.flags[flag] !== undefined);
  if (twice !== undefined)
    throw failure('USAGE', { problem: `--plan says what --${kebab(twice)} would: leave that out.` });
  return { ...call, flags: { ...call.flags, ...file.flags, yes: true } };
}

const kebab = (flag: string): string => flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Throws `PLAN_FILE_UNFIT` if the file is for another site or stage, `PLAN_OUTDATED` if settings are not those of the plan. */
export function refuseOtherSite(file: PlanFile, site: Site, name: string): void {
  if (file.site !== site.name || file.stage !== site.stage) {
    const problem = `it is for ${file.site}/${file.stage}, and this is ${site.name}/${site.stage}`;
    throw failure('PLAN_FILE_UNFIT', { file: name, problem });
  }
  const settings = settingsOf(site);
  const changed = [...new Set([...Object.keys(file.settings), ...Object.keys(settings)])]
    .filter((key) => file.settings[key] !== settings[key])
    .map((key) => `the setting ${key} is not what it was`);
  refuseOutdated(name, changed);
}

/** Throws `PLAN_OUTDATED` if what would be done now is not what stands in the file. */
export const refuseOtherPlan = (file: PlanFile, { plan, observed }: Proposal, name: string): void =>
  refuseOutdated(name, [
    ...nodesThatDiffer(file.before, releasesOn(observed)),
    ...(file.pool === livePool(observed)
      ? []
      : [
          `traffic went to ${file.pool ?? 'no one pool'}, and goes to ${livePool(observed) ?? 'no one pool'} now`,
        ]),
    ...firstOtherStep(file.plan.steps, plan.steps),
  ]);

function refuseOutdated(file: string, differences: readonly string[]): void {
  if (differences.length > 0) throw failure('PLAN_OUTDATED', { file, differences });
}

const nodesThatDiffer = (then: Before, now: Before): readonly string[] =>
  [...new Set([...Object.keys(then), ...Object.keys(now)])]
    .filter((node) => liveText(then, node) !== liveText(now, node))
    .map((node) => `${node} had ${liveText(then, node)}, and has ${liveText(now, node)} now`);

const liveText = (before: Before, node: string): string => {
  const release = before[node];
  return release ? releaseText(release) : 'nothing';
};

function firstOtherStep(then: readonly PlannedStep[], now: readonly PlannedStep[]): readonly string[] {
  const steps = [then, now].map((planned) => planned.map(({ step }) => step));
  const [old = [], fresh = []] = steps;
  const at = old.findIndex((step, index) => JSON.stringify(step) !== JSON.stringify(fresh[index]));
  const index = at >= 0 ? at : old.length;
  if (at < 0 && fresh.length === old.length) return [];
  const text = (all: typeof old): string => (all[index] ? `“${stepText(all[index])}”` : 'none');
  const [was, is] = [text(old), text(fresh)];
  return [`step ${index + 1} was ${was}, and is ${is === was ? 'another of that kind' : is} now`];
}

/** How nodes are reached may differ between machines; that, and who is told of it, changes no plan. */
const settingsOf = ({ ssh: _ssh, notices: _notices, ...site }: Site): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(site).map(([key, value]) => [key, digestOf(value).slice(0, 'sha256:'.length + 16)]),
  );

/** Of the JSON, with the text of functions; a secret is `[secret]` there. */
const digestOf = (value: unknown): string =>
  `sha256:${createHash('sha256')
    .update(JSON.stringify(value, (_, part) => (typeof part === 'function' ? String(part) : part)) ?? '')
    .digest('hex')}`;
