import type { LabNode } from './nodes.ts';

/**
 * Starts Debian's cron on a node, until that stops. For the daemon time goes by `timesFaster` as fast, not for its jobs:
 * libfaketime keeps that in shared memory under the daemon's number, which is another's on another node.
 */
export async function startCron(node: LabNode, timesFaster: number): Promise<void> {
  await node.asRoot(`
    mount -t tmpfs tmpfs /dev/shm
    NO_FAKE_STAT=1 setsid --fork faketime -f '+0 x${timesFaster}' cron -f </dev/null >/run/cron.log 2>&1`);
}
