import { isPlainObject, isSecretPlace, join } from '../core/field.ts';

type Layer = Readonly<Record<string, unknown>>;

/**
 * The settings of `base` with those of `over` on top: objects merge deeply, lists and all else replace. So do an
 * object of another kind (`kind`, `name` or `from` differs), whose options would not fit, and the place of a secret.
 */
export const merge = (base: Layer, over: Layer): Layer =>
  Object.fromEntries(
    [...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => [
      key,
      Object.hasOwn(over, key) ? mergeValue(own(base, key), over[key]) : base[key],
    ]),
  );

const mergeValue = (below: unknown, above: unknown): unknown =>
  isLayer(above) && mergesInto(below, above) ? merge(below, above) : above;

/** Whether `over` wrote what a problem with the merged settings is about. */
export function isAbout(problem: string, base: Layer, over: Layer, path = ''): boolean {
  const key = Object.keys(over).find((name) => leadsTo(join(path, name), problem));
  if (key === undefined) return false;
  const [below, above] = [own(base, key), over[key]];
  return !isLayer(above) || !mergesInto(below, above) || isAbout(problem, below, above, join(path, key));
}

const isLayer = (value: unknown): value is Layer => isPlainObject(value) && !isSecretPlace(value);

const mergesInto = (below: unknown, above: Layer): below is Layer =>
  isPlainObject(below) &&
  ['kind', 'name', 'from'].every((tag) => !(tag in below && tag in above) || below[tag] === above[tag]);

const own = (layer: Layer, key: string): unknown => (Object.hasOwn(layer, key) ? layer[key] : undefined);

const leadsTo = (path: string, problem: string): boolean =>
  problem.startsWith(path) && ['.', '[', ':'].includes(problem.charAt(path.length));
