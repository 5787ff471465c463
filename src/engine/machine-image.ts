import { failure } from '../core/errors.ts';
import type { FleetSite, ImageId, MachineImage } from '../core/fleet.ts';
import { openRun } from '../core/fleet-log.ts';
import { compactTime } from '../core/instant.ts';
import type { FleetPorts } from '../ports.ts';
import { lasting } from './replace.ts';
import { interruption } from './run.ts';
import { prove } from './steps/check.ts';

/**
 * Asks the seed its checks, then takes an image of it, and waits until that is whole. Rejects with the first check that failed, or
 * with `IMAGE_FAILED`.
 */
export async function takeMachineImage(
  site: FleetSite,
  ports: FleetPorts,
  signal: AbortSignal,
): Promise<MachineImage> {
  const { clock, operator, fleet } = ports;
  const { instance, checks, timeoutMs } = site.seed;
  const address = checks.length > 0 ? await fleet.images.seedAddress(signal) : '';
  const seed = { name: instance, address, port: null, user: null };
  const results = await Promise.allSettled(checks.map((one) => prove({ ports, signal }, seed, one, null)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  const name = `${site.name}-${site.stage}-${compactTime(clock.nowMs())}`;
  const id = await lasting(site, ports, signal, () =>
    fleet.images.take({ name, by: operator.name, checks: checks.length }, signal),
  );
  const untilMs = clock.nowMs() + timeoutMs;
  for (;;) {
    const image = await lasting(site, ports, signal, () => fleet.images.read(id, signal));
    if (image.state === 'available') return image;
    const isLate = clock.nowMs() > untilMs;
    // A new image may not be known everywhere at once.
    if (image.state === 'failed' || isLate)
      throw failure('IMAGE_FAILED', {
        image: id,
        reason:
          image.reason ?? (isLate ? `it is ${image.state} after ${timeoutMs} ms` : 'AWS does not say why'),
      });
    await clock.sleep(lookEveryMs, signal);
    if (signal.aborted) throw interruption(signal);
  }
}

const lookEveryMs = 10_000;

/** Deletes images that nobody needs: not what runs, or a run leads to or from, and not as many of the newest as the site keeps. */
export async function pruneMachineImages(
  { keepReleases }: FleetSite,
  { fleet }: FleetPorts,
  signal: AbortSignal,
): Promise<readonly MachineImage[]> {
  const [images, state, log] = await Promise.all([
    fleet.images.list(signal),
    fleet.observe(signal),
    fleet.log.read(signal),
  ]);
  const open = openRun(log);
  const needed = new Set<ImageId>([
    ...(state.kind === 'environments'
      ? state.environments.map(({ image }) => image)
      : [state.place.image, ...state.instances.map(({ image }) => image)]),
    ...(open ? [open.intent.from.image, open.intent.to.image] : []),
  ]);
  const gone = images.slice(keepReleases).filter(({ id }) => !needed.has(id));
  await fleet.images.remove(
    gone.map(({ id }) => id),
    signal,
  );
  return gone;
}
