import type { Checker } from './checker.ts';

/** Work that is marked once begins again only if it ended and said that it failed: in a deploy, and for a release. */
export const once: Checker = {
  name: 'once',
  watch() {
    const states = new Map<string, 'began' | 'done' | 'failed'>();
    return (event) => {
      if (event.kind !== 'hook' || !event.once) return null;
      const { by, hook, release, state } = event;
      const keys = [`${by.chain} ${hook}`, `${release} ${hook}`];
      const again = keys.find((key) => (states.get(key) ?? 'failed') !== 'failed');
      for (const key of keys) states.set(key, state);
      if (state !== 'began' || again === undefined) return null;
      return `${by.name} ran ${hook} on ${event.node.name} a second time (${again})`;
    };
  },
};
