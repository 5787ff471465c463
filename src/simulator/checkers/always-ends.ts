import { isDeployError } from '../../core/errors.ts';
import type { Checker } from './checker.ts';

/** Every command ends as it promises: with a report, or with an error that the catalogue knows. */
export const alwaysEnds: Checker = {
  name: 'always-ends',
  watch: () => (event) => {
    if (event.kind !== 'ended' || event.session.end?.kind !== 'thrown') return null;
    const { command, name, end } = event.session;
    const mayThrow = ['unlock', 'drain', 'enable', 'cron'].includes(command);
    if (mayThrow && isDeployError(end.error)) return null;
    const { stack } = end.error instanceof Error ? end.error : { stack: String(end.error) };
    return `${name} (${command}) throws: ${stack}`;
  },
};
