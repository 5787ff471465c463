import { describe, expect, test } from 'vitest';
import * as field from '../../src/core/field.ts';
import { Secret } from '../../src/core/secret.ts';

const value = <T>(parsed: field.Parsed<T>): T => {
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.value;
};

describe('scalars', () => {
  test.each([
    ['500ms', 500],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['168h', 604_800_000],
    ['0s', 0],
  ])('the duration %s is %i ms', (text, ms) => {
    expect(value(field.duration.parse(text, 'x'))).toBe(ms);
  });

  test.each([['5'], [5], ['-5s'], ['5 s'], ['169h'], ['1e3s'], [''], [null]])('%j is no duration', (text) => {
    expect(field.duration.parse(text, 'x').ok).toBe(false);
  });

  test('a period is not 0', () => {
    expect(field.problemsOf(field.period.parse('0s', 'x'))).toEqual([
      'x: expected a duration of at least \'1ms\', got "0s"',
    ]);
  });

  test.each([[1], [65_535]])('%i is a port', (port) => {
    expect(value(field.port.parse(port, 'x'))).toBe(port);
  });

  test.each([[0], [65_536], [80.5], ['80'], [Number.NaN]])('%j is no port', (port) => {
    expect(field.port.parse(port, 'x').ok).toBe(false);
  });

  test.each([['npm ci'], [['npm', 'ci']], [['printf', '']]])('%j is a command', (command) => {
    expect(value(field.command.parse(command, 'x'))).toEqual(command);
  });

  test.each([[''], [' '], [[]], [['']], [['a', 1]], [['a\0']], ['a\0'], [{}]])(
    '%j is no command',
    (command) => {
      expect(field.command.parse(command, 'x').ok).toBe(false);
    },
  );

  test('one of several suggests the nearest', () => {
    expect(field.problemsOf(field.oneOf(['force', 'put-back']).parse('putback', 'drain.onTimeout'))).toEqual([
      "drain.onTimeout: expected 'force' or 'put-back', got \"putback\"; did you mean put-back?",
    ]);
  });
});

describe('secrets', () => {
  const readSecret: field.ReadSecret = (place, path) =>
    'env' in place ? field.parsed(new Secret(`of ${place.env}`)) : field.problem(path, 'no such file');

  test('are texts, or read from their place', () => {
    expect(value(field.secret.parse('s1', 'x')).reveal()).toBe('s1');
    expect(value(field.secret.parse({ env: 'TOKEN' }, 'x', readSecret)).reveal()).toBe('of TOKEN');
    expect(field.problemsOf(field.secret.parse({ file: '/key' }, 'x', readSecret))).toEqual([
      'x: no such file',
    ]);
  });

  test('reach the innermost field', () => {
    const outer = field.mapOf(field.listOf(field.objectOf({ token: field.secret })));
    const read = value(outer.parse({ a: [{ token: { env: 'TOKEN' } }] }, 'x', readSecret));
    expect(read.a?.[0]?.token.reveal()).toBe('of TOKEN');
  });

  test('do not show in what is said of a wrong place', () => {
    expect(field.problemsOf(field.secret.parse({ env: 'A', file: 'S3NT1NEL' }, 'x', readSecret))).toEqual([
      "x: expected a text, { env: 'NAME' } or { file: '/path' }, got an object",
    ]);
    expect(field.shown(new Secret('S3NT1NEL'))).toBe('a secret');
    expect(field.shown('https://ann:S3NT1NEL@example.org/x')).toBe('"https://[secret]@example.org/x"');
  });

  test('a text that may be secret stays a text', () => {
    expect(value(field.textOrSecret.parse('', 'x'))).toBe('');
    expect(value(field.textOrSecret.parse({ env: 'TOKEN' }, 'x', readSecret))).toBeInstanceOf(Secret);
  });
});

describe('objects', () => {
  const fields = {
    size: field.describe('How large.', field.integer(1, 9)),
    colour: field.describe('Which colour.', field.defaultsTo(field.text, 'red')),
    note: field.describe('A note.', field.optional(field.text)),
  };

  test('have the defaults of what is left out', () => {
    expect(value(field.parseFields(fields, { size: 1 }))).toEqual({ size: 1, colour: 'red', note: null });
  });

  test('tell all problems at once, each with its path', () => {
    expect(field.problemsOf(field.objectOf(fields).parse({ colour: 1, szie: 2, 'a b': 1 }, 'box'))).toEqual([
      'box.szie: unknown setting; did you mean size?',
      'box["a b"]: unknown setting',
      'box.size: expected a whole number from 1 to 9, got nothing',
      'box.colour: expected a text, got 1',
    ]);
  });

  test('have a schema that refuses what the field refuses', () => {
    expect(field.objectOf(fields).schema).toEqual({
      type: 'object',
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 9, description: 'How large.' },
        colour: { type: 'string', minLength: 1, default: 'red', description: 'Which colour.' },
        note: { type: 'string', minLength: 1, description: 'A note.' },
      },
      required: ['size'],
      additionalProperties: false,
    });
  });

  test('with keys of the user keep the key __proto__ to themselves', () => {
    const read = value(field.mapOf(field.text).parse(JSON.parse('{"__proto__": "x"}'), 'labels'));
    expect(Object.entries(read)).toEqual([['__proto__', 'x']]);
  });

  test('with keys of one form name the key that is not', () => {
    const words = field.mapOf(field.text, field.textLike('a word', /^\w+$/));
    expect(field.problemsOf(words.parse({ 'a b': 'x', c: 1 }, 'labels'))).toEqual([
      'labels["a b"]: expected a word as the key, got "a b"',
      'labels.c: expected a text, got 1',
    ]);
  });

  test('a default that the field refuses is a bug', () => {
    expect(() => field.defaultsTo(field.port, 0)).toThrow('the default 0 is a whole number from 1 to 65535');
  });
});

describe('variants', () => {
  const shape = field.variantOf('kind', {
    circle: { summary: 'Round.', options: { radius: field.describe('Its half.', field.integer(1, 9)) } },
    point: { summary: 'No size.', options: {} },
  });

  test('have the options of their kind', () => {
    expect(value(shape.parse({ kind: 'circle', radius: 2 }, 'shape'))).toEqual({
      kind: 'circle',
      options: { radius: 2 },
    });
  });

  test.each([
    [{ kind: 'point', radius: 2 }, 'shape.radius: unknown setting'],
    [{ kind: 'circel' }, "shape.kind: expected 'circle' or 'point', got \"circel\"; did you mean circle?"],
    [{ kind: 'toString' }, "shape.kind: expected 'circle' or 'point', got \"toString\""],
    [{}, "shape.kind: expected 'circle' or 'point', got nothing"],
    [[], "shape: expected an object with kind: 'circle' or 'point', got an empty list"],
  ])('%j is refused', (value, message) => {
    expect(field.problemsOf(shape.parse(value, 'shape'))).toEqual([message]);
  });
});
