import type { World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';

/** Watches over one promise. */
export interface Checker {
  readonly name: string;
  /** Told of each event just after it happened; says which promise it broke and how, or null. */
  watch(world: World): (event: WorldEvent) => string | null;
}
