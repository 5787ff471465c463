import { count, isDeployError } from '../core/errors.ts';
import { type FleetSite, type FleetState, isServing, type MachineImage, shareOf } from '../core/fleet.ts';
import { openRun } from '../core/fleet-log.ts';
import type { FleetPorts } from '../ports.ts';
import { imageNamed, openText } from './fleet.ts';
import type { Preflight } from './preflight.ts';

export interface FleetReadiness extends Preflight {
  /** Null if it could not be read, or would not be admitted. */
  readonly state: FleetState | null;
  /** What a deploy would roll out. */
  readonly image: MachineImage | null;
}

/** Everything that is looked at before a deploy; changes nothing. What cannot be read is a problem, not a stop. */
export async function checkFleet(
  site: FleetSite,
  ports: FleetPorts,
  signal: AbortSignal,
): Promise<FleetReadiness> {
  const { fleet } = ports;
  const problems: string[] = [];
  const found = <T>(work: Promise<T>): Promise<T | null> =>
    work.catch((error: unknown) => {
      if (!isDeployError(error)) throw error;
      problems.push(error.message);
      return null;
    });
  const admitted = async (): Promise<MachineImage> => {
    const image = await imageNamed(ports, site.ref, signal);
    await fleet.admit(image);
    return image;
  };
  const [state, log, image] = await Promise.all([
    found(fleet.observe(signal)),
    found(fleet.log.read(signal)),
    found(admitted()),
    found(fleet.images.seedAddress(signal)),
  ]);
  const open = openRun(log ?? []);
  if (open) problems.push(openText(open));
  return { problems, warnings: state ? weaknesses(site, state) : [], state, image };
}

/** What a deploy begins in spite of. */
function weaknesses({ fleet: { servingMin } }: FleetSite, state: FleetState): readonly string[] {
  if (state.kind === 'environments')
    return state.environments.flatMap(({ name, health }) =>
      health === 'good' ? [] : [`environment ${name} is not healthy`],
    );
  const { instances, capacity } = state;
  const [serving, floor] = [instances.filter(isServing).length, shareOf(servingMin, capacity.desired)];
  return serving >= floor
    ? []
    : [
        `${serving} of ${count(capacity.desired, 'instance')} serve, and servingMin asks for ${floor}: no old one leaves before`,
      ];
}
