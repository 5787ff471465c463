import type { ReleaseId } from '../../core/release.ts';
import type { SimulatedNode } from '../node.ts';
import type { Checker } from './checker.ts';

/**
 * A release goes live only between the two parts of migrations that it can live with: after its own schema is expanded,
 * and never again once that of a later release is contracted, or is irreversible. No node has an older release then.
 */
export const schemaWindow: Checker = {
  name: 'schema-window',
  watch(world) {
    const expands = world.site.hooks.some(({ duty }) => duty === 'expand');
    const expanded = new Set<ReleaseId>();
    let closedBy: ReleaseId | null = null;
    return (event) => {
      if (event.kind === 'hook' && event.duty !== null) {
        if (event.duty === 'expand' && event.state === 'done') expanded.add(event.release);
        if (event.state === 'began' && event.closesWayBack) closedBy = event.release;
        return event.duty === 'contract' && event.state === 'began'
          ? contractedEarly(world.nodes.values(), event.release)
          : null;
      }
      if (event.kind !== 'switched' || !expands) return null;
      const { by, node, release } = event;
      if (by.release?.id === release && by.command === 'deploy' && !expanded.has(release))
        return `${by.name} brought ${release} live on ${node.name} before its schema was expanded`;
      if (closedBy !== null && release < closedBy)
        return `${by.name} brought ${release} back on ${node.name}, behind the migration of ${closedBy}`;
      return null;
    };
  },
};

function contractedEarly(nodes: Iterable<SimulatedNode>, release: ReleaseId): string | null {
  const other = [...nodes].find(({ disk }) => disk.current !== null && disk.current < release);
  return other
    ? `the schema of ${release} was contracted while ${other.name} had ${other.disk.current}`
    : null;
}
