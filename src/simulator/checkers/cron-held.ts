import type { SimulatedNode } from '../node.ts';
import type { Checker } from './checker.ts';

/**
 * Where the cron is held for it, no job of the site is under way while the database is migrated. A machine that nobody
 * reaches while it has the cron is the exception, until sluice has taken it off.
 */
export const cronHeld: Checker = {
  name: 'cron-held',
  watch(world) {
    const isHeld = (world.site.cron?.hold ?? 'never') !== 'never';
    const astray = new Set<SimulatedNode>();
    /** By node, in which of its boots it began. */
    const migrating = new Map<SimulatedNode, number>();
    return (event) => {
      if (!isHeld) return null;
      for (const node of world.nodes.values()) {
        const isSilent = !node.isUp || world.clock.nowMs() < node.cutOffUntilMs;
        if (node.disk.cronSince === null && node.jobs.size === 0) astray.delete(node);
        else if (isSilent) astray.add(node);
      }
      if (event.kind === 'hook' && (event.duty === 'expand' || event.duty === 'contract')) {
        if (event.state === 'began') migrating.set(event.node, event.node.boots);
        else migrating.delete(event.node);
      }
      if (![...migrating].some(([node, boots]) => node.isUp && node.boots === boots)) return null;
      if (event.kind !== 'hook' && event.kind !== 'job') return null;
      const busy = [...world.nodes.values()].find((node) => node.jobs.size > 0 && !astray.has(node));
      return busy ? `${busy.name} runs a job while the database is migrated` : null;
    };
  },
};
