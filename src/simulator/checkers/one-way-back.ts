import type { NodeName } from '../../core/node.ts';
import type { ReleaseId } from '../../core/release.ts';
import type { Session } from '../session.ts';
import type { Checker } from './checker.ts';

/** A run brings a node to one release, and perhaps back once: never back and forth. An abort goes back alone. */
export const oneWayBack: Checker = {
  name: 'one-way-back',
  watch() {
    const ways = new Map<Session, Map<NodeName, readonly ReleaseId[]>>();
    return (event) => {
      if (event.kind !== 'switched') return null;
      const { node, by, release } = event;
      const nodes = ways.get(by) ?? new Map<NodeName, readonly ReleaseId[]>();
      ways.set(by, nodes);
      const way = nodes.get(node.name) ?? [];
      if (way.at(-1) === release) return null;
      nodes.set(node.name, [...way, release]);
      if (way.length < (by.command === 'abort' ? 1 : 2)) return null;
      return `${by.name} brought ${node.name} to ${[...way, release].join(', then ')}`;
    };
  },
};
