import { readMachine } from '../commands/machine.ts';
import { failure } from '../core/errors.ts';
import { type Difference, differences, type ImageSummary, type Manifest } from '../core/image.ts';
import type { Observation } from '../core/observation.ts';
import type { Release, Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { namedNodes } from '../core/target.ts';
import type { Images, Ports } from '../ports.ts';
import { observe } from './observe.ts';
import { nodeOf, onNode } from './run.ts';
import { prove } from './steps/check.ts';

/**
 * Builds on the seed what the config says, asks the seed its checks, then takes an image of it, with what the seed has
 * beside it. `ref`: of the seed's repository; null: its HEAD. Rejects with the first check that failed.
 */
export async function buildImage(
  { drift }: Site,
  ports: Ports,
  { ref, signal }: { readonly ref: string | null; readonly signal: AbortSignal },
): Promise<ImageSummary> {
  const images = imagesOf(ports);
  if (ref !== null && !images.hasGit)
    throw failure('USAGE', { problem: `The seed has no repository that ${ref} could be of.` });
  const commit = await images.build(ref ?? 'HEAD', signal);
  const results = await Promise.allSettled(
    images.checks.map((one) => prove({ ports, signal }, images.seed, one, null)),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  const machine = await onNode(ports, images.seed, readMachine(drift.paths), { signal });
  return images.capture({ by: ports.operator.name, commit, machine, signal });
}

/** Rejects with `SEED_ABSENT` where releases are commits. */
export function imagesOf({ source: { images } }: Pick<Ports, 'source'>): Images {
  if (!images) throw failure('SEED_ABSENT', {});
  return images;
}

/** What two images, or an image and the live release of a node (`node:web3`), do not have in common. */
export async function compareImages(
  site: Site,
  ports: Ports,
  { from, to, signal }: { readonly from: string; readonly to: string; readonly signal: AbortSignal },
): Promise<readonly Difference[]> {
  const read = (what: string): Promise<Manifest> => readImage(site, ports, what, signal);
  const [before, after] = await Promise.all([read(from), read(to)]);
  return differences({ from: before, to: after });
}

async function readImage(site: Site, ports: Ports, what: string, signal: AbortSignal): Promise<Manifest> {
  const images = imagesOf(ports);
  if (!what.startsWith('node:')) return images.read(await ports.source.resolve(what, signal));
  const [name = ''] = namedNodes(site.nodes, [what.slice('node:'.length)]);
  return images.readTree(nodeOf(site, name), `${site.deployTo}/current`, signal);
}

/**
 * Deletes images that nobody needs: not those of releases that are on some node, nor what a run under way set out to
 * bring, nor as many of the newest as nodes keep releases. Rejects with `NODE_UNREACHABLE` if a node cannot be read.
 */
export async function pruneImages(
  site: Site,
  ports: Ports,
  signal: AbortSignal,
): Promise<readonly ImageSummary[]> {
  const images = imagesOf(ports);
  const all = await images.list();
  const needed = neededBy(site, await observe(site, ports, signal));
  const gone = all.slice(site.keepReleases).filter(({ name }) => !needed.has(name));
  await images.remove(gone.map(({ name }) => name));
  return gone;
}

function neededBy(site: Site, { nodes, witnesses }: Observation): ReadonlySet<Revision | null> {
  const states = Object.values(nodes);
  for (const { name, unreachable } of states)
    if (unreachable !== null)
      throw failure('NODE_UNREACHABLE', {
        node: name,
        address: nodeOf(site, name).address,
        reason: unreachable,
      });
  const intents = [...states, ...witnesses].flatMap(({ lock }) => lock?.intent ?? []);
  return new Set([
    ...states.flatMap(({ releases }) => releases.map(({ revision }) => revision)),
    ...intents.flatMap(({ release, before }) => [release, ...Object.values(before)]).map(revisionOf),
  ]);
}

const revisionOf = (release: Release | null): Revision | null => release?.revision ?? null;
