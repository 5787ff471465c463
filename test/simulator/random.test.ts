import { expect, test } from 'vitest';
import { seededRandom } from '../../src/simulator/random.ts';

const draw = (seed: number, count = 1000): readonly number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

test('a seed gives the same draws every time, and another seed others', () => {
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test('draws are spread evenly over [0, 1)', () => {
  const draws = draw(1, 10_000);
  for (let tenth = 0; tenth < 10; tenth++) {
    const inside = draws.filter((value) => value >= tenth / 10 && value < (tenth + 1) / 10).length;
    expect(inside).toBeGreaterThan(850);
    expect(inside).toBeLessThan(1150);
  }
});

test('whole numbers reach both bounds, and never go beyond', () => {
  const random = seededRandom(3);
  const seen = new Set(Array.from({ length: 200 }, () => random.integer({ min: 2, max: 5 })));
  expect([...seen].sort()).toEqual([2, 3, 4, 5]);
});

test('shuffling keeps every item, and does not touch the list', () => {
  const items = [1, 2, 3, 4, 5, 6, 7, 8];
  const shuffled = seededRandom(5).shuffle(items);
  expect([...shuffled].sort()).toEqual(items);
  expect(shuffled).not.toEqual(items);
  expect(items).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a fork depends on the seed and its name, and on no draw before it', () => {
  const random = seededRandom(9);
  const early = random.fork('nodes').next();
  random.next();
  expect(random.fork('nodes').next()).toBe(early);
  expect(random.fork('faults').next()).not.toBe(early);
  expect(seededRandom(10).fork('nodes').next()).not.toBe(early);
});

test('hexadecimal digits are two a byte', () => {
  expect(seededRandom(1).hex(4)).toMatch(/^[0-9a-f]{8}$/);
});

test('there is nothing to pick from an empty list', () => {
  expect(() => seededRandom(1).pick([])).toThrow(RangeError);
});
