import { type Field, type Parsed, parsed, parseField, problemsOf, unknownSettings } from '../core/field.ts';
import type { FleetSite, Share } from '../core/fleet.ts';
import type { Check } from '../core/site.ts';
import { type FleetSettingsRead, fleetSiteFields } from './fleet-fields.ts';
import { secretReader } from './secrets.ts';
import { localPaths, type SiteInput } from './site.ts';
import { atStage } from './stage.ts';

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
  const { settings, place } = stage.value;
  const readSecret = secretReader({ ...input, local: localPaths(input) });
  const results = Object.entries<Field<unknown>>(fields).map(
    ([name, field]) => [name, parseField(field, settings[name], name, readSecret)] as const,
  );
  const problems = [
    ...unknownSettings(fields, settings, '').flatMap(problemsOf),
    ...results.flatMap(([, result]) => problemsOf(result)),
  ];
  if (problems.length > 0) return { ok: false, problems: problems.map(place) };
  const read = Object.fromEntries(results.map(([name, result]) => [name, result.ok ? result.value : null]));
  // Every field was read by its own.
  return parsed(fleetSiteOf(read as unknown as FleetSettingsRead, input.stage));
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
