import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CutOff, LabNode } from './nodes.ts';
import type { LabSite } from './site.ts';

/** What happens to a site while it is released. */
export type Fault = 'none' | 'reload' | 'full disk' | CutOff;

export interface UnderFault {
  /** Where requests may fail by it, whatever a release does: on the node that stands still, and on those forgotten to be out. */
  readonly excused: ReadonlySet<string>;
  /** Nothing is wrong any more. */
  mend(): Promise<void>;
}

/** A node is cut off, or its disk is full, until it is mended; a reload makes HAProxy forget what it was told. */
export async function begin(fault: Fault, site: LabSite, node: LabNode): Promise<UnderFault> {
  if (fault === 'none') return { excused: new Set(), mend: nothing };
  if (fault === 'reload') return { excused: await reload(site), mend: nothing };
  if (fault === 'full disk') return { excused: new Set(), mend: await fill(node) };
  await node.cut(fault);
  return { excused: new Set(fault === 'machine' ? [node.name] : []), mend: () => node.mend() };
}

const nothing = (): Promise<void> => Promise.resolve();

/**
 * The new process sends requests to all servers, those too that were out of rotation and may just be starting; and the
 * one before it may have requests in flight at them, which nobody can count any more.
 */
async function reload(site: LabSite): Promise<ReadonlySet<string>> {
  const before = Object.entries(await site.rotation());
  await site.balancer?.reload();
  const records = await Promise.all(site.nodes.map((node) => site.read(node, '.sluice/drained')));
  return new Set([
    ...before.filter(([, status]) => !status.startsWith('UP')).map(([name]) => name),
    // Those that a release takes out at this very moment.
    ...site.nodes.filter((_, index) => records[index] !== null).map(({ name }) => name),
  ]);
}

/** The node must have a disk of its own. */
async function fill(node: LabNode): Promise<() => Promise<void>> {
  const ballast = join(node.srv, 'ballast');
  const full = await writeFile(ballast, Buffer.alloc(node.diskBytes ?? 0)).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOSPC',
  );
  if (!full) throw new Error(`the disk of ${node.name} did not fill`);
  return () => rm(ballast);
}
