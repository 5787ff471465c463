import {
  type Field,
  type Fields,
  isPlainObject,
  parseFields,
  textLike,
  unexpected,
} from '../../core/field.ts';

/** The value that a text holds as JSON; the text itself if it holds none. */
export function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** An object with these fields, whatever else stands in it: an API may say more than is asked of it. */
export const someOf = <T>(fields: Fields<T>): Field<T> => ({
  expected: 'an object',
  summary: '',
  schema: { type: 'object' },
  parse(value, path) {
    if (!isPlainObject(value)) return unexpected(path, 'an object', value);
    const asked = Object.keys(fields).filter((name) => name in value);
    return parseFields(fields, Object.fromEntries(asked.map((name) => [name, value[name]])), path);
  },
});

/** Where an API is: without a slash at its end. */
export const httpUrl: Field<string> = textLike(
  'an http:// or https:// URL without a slash at its end',
  /^https?:\/\/[^\s?#]*[^\s?#/]$/,
);
