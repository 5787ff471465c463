import { isoTime } from '../core/instant.ts';
import type { Site } from '../core/site.ts';
import { storageKinds } from '../core/storage-kind.ts';
import { type SimulatedNode, secondsOn } from './node.ts';

/** What the script of `inspect` writes about a node: the very text that its parser reads. */
export function inspectionOf(node: SimulatedNode, deployTo: string, nowMs: number): string {
  const { disk } = node;
  const lines = [
    `now ${secondsOn(node, nowMs)}`,
    'root',
    ...(disk.current === null ? [] : [`current ${deployTo}/releases/${disk.current}`]),
    ...[...disk.releases.keys()]
      .sort()
      .flatMap((id) => [
        `release ${id}`,
        `revision ${id} ${disk.releases.get(id)?.revision}`,
        ...(disk.records.get(id) ?? []).map((mark) => `mark ${id} ${mark}`),
      ]),
    ...disk.revisionsLog.flatMap(loggedRelease).map((id) => `logged ${id}`),
    ...(disk.maintenance === null ? [] : [`maintenance ${isoTime(nowMs)} ${disk.maintenance}`]),
    ...disk.irreversible.map((id) => `irreversible ${id}`),
    ...[...disk.once].sort().map((name) => `once ${name}`),
    ...disk.drained.map((server) => `drained ${server}`),
    ...disk.cron.map((line) => `cron ${line}`),
    ...(disk.cronSince === null ? [] : [`cron-since ${disk.cronSince}`]),
    ...[...node.jobs].flatMap(({ name }) => [`cron-job ${name}`, 'cron-busy']),
    ...(disk.lock === null ? [] : [`lock ${disk.lock.run} ${disk.heartbeatSeconds} ${disk.lock.details}`]),
    ...(disk.lock === null || disk.held === null ? [] : [`held ${disk.held.run} ${disk.held.details}`]),
    'end',
  ];
  return lines.map((line) => `= ${line}\n`).join('');
}

/** What the script of `look-at-storage` writes: the storage of a simulated site is always sound. */
export function storageOf({ shared }: Site, { targets }: { readonly targets: readonly string[] }): string {
  const type = storageKinds[shared?.kind ?? 'nfs'][0];
  const lines = [
    'mount disk / ext4',
    ...targets.flatMap((target, i) => [
      `at ${i} ${target}`,
      `writable ${i}`,
      `there ${i}`,
      `mount storage:${target} ${target} ${type}`,
      `lost ${i} 0`,
    ]),
    'looked',
    'end',
  ];
  return lines.map((line) => `= ${line}\n`).join('');
}

const loggedRelease = (line: string): readonly string[] => {
  const match = /.* (?:deployed as release (\d{14}) by |rolled back to release (\d{14}))/.exec(line);
  return match ? [match[1] ?? match[2]!] : [];
};
