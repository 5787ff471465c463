import { isRun, type Session } from '../session.ts';
import type { Checker } from './checker.ts';

/** While a run holds it changes nothing on nodes, but its own marks there; and takes nothing out of rotation. */
export const stillWhileHeld: Checker = {
  name: 'still-while-held',
  watch() {
    const holding = new Set<Session>();
    return (event) => {
      if (event.kind === 'step' && event.step.kind === 'hold') {
        if (event.state === 'begins') holding.add(event.session);
        else holding.delete(event.session);
      }
      if (event.kind !== 'effect' && event.kind !== 'rotation') return null;
      const { by } = event;
      if (!isRun(by) || !holding.has(by)) return null;
      if (event.kind === 'rotation')
        return `${by.name} told a balancer ${event.server.id} ${event.server.rotation} while it held`;
      return /^hold .* is over$|^\d{14} (checked|failed|once)$/.test(event.what)
        ? null
        : `${by.name} changed ${event.node.name} (${event.what}) while it held`;
    };
  },
};
