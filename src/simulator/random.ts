/** Chance that a seed decides: the same seed gives the same draws, in the same order, on every machine. */
export interface SeededRandom {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `min` to `max`, both among them. */
  integer(bounds: { readonly min: number; readonly max: number }): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffle<T>(items: readonly T[]): readonly T[];
  /** Lower-case hexadecimal digits, two a byte. */
  hex(bytes: number): string;
  /** Chance of its own, which the name and this seed decide: what is drawn from one does not move the other. */
  fork(name: string): SeededRandom;
}

/** Mulberry32: 32 bits of state, enough for any run that a person will wait for. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const integer: SeededRandom['integer'] = ({ min, max }) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    chance: (probability) => next() < probability,
    pick(items) {
      const item = items[integer({ min: 0, max: items.length - 1 })];
      if (item === undefined) throw new RangeError('there is nothing to pick from');
      return item;
    },
    shuffle(items) {
      const result = [...items];
      for (let left = result.length - 1; left > 0; left--) {
        const other = integer({ min: 0, max: left });
        [result[left], result[other]] = [result[other]!, result[left]!];
      }
      return result;
    },
    hex: (bytes) =>
      Array.from({ length: bytes }, () => integer({ min: 0, max: 255 }).toString(16).padStart(2, '0')).join(
        '',
      ),
    fork: (name) => seededRandom(hash(`${seed} ${name}`)),
  };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let result = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) result = Math.imul(result ^ text.charCodeAt(i), 0x01000193);
  return result >>> 0;
}
