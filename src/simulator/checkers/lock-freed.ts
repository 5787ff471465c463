import { reportOf } from '../session.ts';
import type { Checker } from './checker.ts';

/** A run that ended by itself holds no lock any more, but where it says so, or that it is held. */
export const lockFreed: Checker = {
  name: 'lock-freed',
  watch: (world) => (event) => {
    if (event.kind !== 'ended') return null;
    const { session } = event;
    const report = reportOf(session);
    if (!report || report.outcome === 'held') return null;
    const said = [...report.warnings, report.failure?.message ?? ''].join('\n');
    const stuck = [...world.nodes.values()].filter(
      ({ name, disk }) => disk.lock !== null && session.runs.has(disk.lock.run) && !said.includes(name),
    );
    if (stuck.length === 0) return null;
    return `${session.name} ended (${report.outcome}) and left its lock on ${stuck.map(({ name }) => name).join(', ')} without a word`;
  },
};
