import { type Field, type Parsed, parsed, parseField, problemsOf, unknownSettings } from '../core/field.ts';
import type { FleetSite, Share } from '../core/fleet.ts';
import { fleetHookPoints } from '../core/hook.ts';
import type { Check } from '../core/site.ts';
import type { siteFields } from './fields.ts';
import { type FleetSettingsRead, fleetSiteFields } from './fleet-fields.ts';
import { secretReader } from './secrets.ts';
import { hooksOf, localPaths, noticeOf, type SiteInput } from './site.ts';
import { atStage, type StageSettings } from './stage.ts';

/** Whether a config is of a fleet at a stage, as far as it can be read. */
export function isFleet(
  raw: unknown,
  { stage, registries }: Pick<SiteInput, 'stage' | 'registries'>,
): boolean {
  const settings = atStage(raw, stage, fleetSiteFields(registries));
  return settings.ok && 'fleet' in settings.value.settings;
}

/** A config of a fleet at one stage as the rest of the program sees it, or every problem with it. */
export function parseFleet(raw: unknown, input: SiteInput): Parsed<FleetSite> {
  const fields = fleetSiteFields(input.registries);
  const stage = atStage(raw, input.stage, fields);
  if (!stage.ok) return stage;
  const { settings, place } = withPolicy(stage.value, input.overrides?.onFailure);
  const readSecret = secretReader({ ...input, local: localPaths(input) });
  const results = Object.entries<Field<unknown>>(fields).map(
    ([name, field]) => [name, parseField(field, settings[name], name, readSecret)] as const,
  );
  const problems = [
    ...unknownSettings(fields, settings, '').flatMap(problemsOf).map(withReason),
    ...results.flatMap(([, result]) => problemsOf(result)),
  ];
  if (problems.length > 0) return { ok: false, problems: problems.map(place) };
  const read = Object.fromEntries(results.map(([name, result]) => [name, result.ok ? result.value : null]));
  // Every field was read by its own.
  return parsed(fleetSiteOf(read as unknown as FleetSettingsRead, input.stage));
}

/** What the command line says over the config; a problem with that begins with the flag. */
const withPolicy = ({ settings, place }: StageSettings, onFailure: string | undefined): StageSettings =>
  onFailure === undefined
    ? { settings, place }
    : {
        settings: { ...settings, onFailure },
        place: (text) =>
          text.startsWith('onFailure:') ? text.replace('onFailure', '--on-failure') : place(text),
      };

const inImage = 'its machines have what the image has, so put it right on the seed';
const atAws = 'whatever sends its machines requests is set up at AWS';
const noLogin = 'sluice logs in to none of its machines';

/** Settings of nodes that a fleet has not, and what to do in their place. */
const ofNodes: {
  readonly [K in Exclude<keyof ReturnType<typeof siteFields>, keyof FleetSettingsRead>]: string;
} = {
  deployTo: inImage,
  linkedDirs: inImage,
  linkedFiles: inImage,
  localDirs: inImage,
  assets: inImage,
  shared: 'mount the storage (EFS, say) on the seed, and every machine has the mount',
  activate: 'a machine starts with all that the image begins at boot',
  workers: 'give machines with workers a group, and a site, of their own',
  cron: 'let a scheduler outside of it begin jobs, such as EventBridge, or a machine of its own',
  drift: 'its machines are of one image, so they are alike',
  nodes: 'fleet says where its machines are',
  witnesses: 'its lock is kept at AWS, and not by its machines',
  balancers: atAws,
  addresses: atAws,
  drain: `${atAws}: requests in flight have the deregistration delay of the target group to end`,
  preview: `${atAws}: checks are asked of each machine itself`,
  strategy: 'fleet.replace and fleet.surge say how its machines are replaced',
  servingMin: 'say fleet.servingMin',
  failuresMax: 'a machine that fails its checks fails the run, which onFailure decides',
  migrate: "bring the database on by hooks['before:deploy'], with a command that may run twice",
  backup: "make it by hooks['before:deploy']",
  maintenance: 'turn visitors away at the load balancer',
  become: noLogin,
  ssh: noLogin,
};

/** That a setting is one of nodes says more than that it is unknown. */
function withReason(text: string): string {
  const [name = ''] = text.split(':');
  const reason = Object.hasOwn(ofNodes, name) ? ofNodes[name as keyof typeof ofNodes] : null;
  return reason === null ? text : `${name}: a fleet has no such setting: ${reason}`;
}

function fleetSiteOf(settings: FleetSettingsRead, stage: string): FleetSite {
  const { seed, ref } = settings.source;
  const { servingMin, surge, patience, ...options } = settings.fleet.options;
  return {
    name: settings.name,
    stage,
    seed: {
      instance: seed.instance,
      reboot: seed.reboot,
      checks: seed.checks.map(checkOf),
      timeoutMs: seed.timeout,
    },
    ref,
    // The fields of every kind end with these three.
    fleet: {
      kind: settings.fleet.kind,
      options,
      servingMin: servingMin as Share,
      surge: surge as Share,
      patienceMs: patience as number,
    },
    checks: settings.checks.map(checkOf),
    onFailure: settings.onFailure,
    hooks: fleetHookPoints.flatMap((point) => hooksOf(point, settings.hooks[point])),
    notices: settings.notices.map(noticeOf),
    keepReleases: settings.keepReleases,
  };
}

const checkOf = ({
  port,
  attempts,
  interval,
  timeout,
  ...check
}: FleetSettingsRead['checks'][number]): Check => ({
  ...check,
  port: port ?? (check.scheme === 'http' ? 80 : 443),
  attemptsMax: attempts,
  intervalMs: interval,
  timeoutMs: timeout,
  via: 'direct',
});
