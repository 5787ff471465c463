import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/** The import table of the design, as data: what a room may import besides itself. */
const rooms: Readonly<
  Record<string, { readonly rooms: readonly string[]; readonly packages: readonly string[] }>
> = {
  'src/core': { rooms: [], packages: [] },
  'src/commands': { rooms: ['src/core'], packages: [] },
  'src/ports.ts': { rooms: ['src/core'], packages: ['node:stream'] },
  'src/engine': { rooms: ['src/core', 'src/ports.ts', 'src/commands'], packages: [] },
  'src/simulator': { rooms: ['src/core', 'src/ports.ts', 'src/engine', 'src/commands'], packages: [] },
  'src/adapters': { rooms: ['src/core', 'src/ports.ts', 'src/commands'], packages: ['*'] },
  'src/sandbox': { rooms: ['src/core', 'src/ports.ts'], packages: ['*'] },
  'src/config': { rooms: ['src/core'], packages: ['cosmiconfig', 'jiti', 'node:*'] },
  'src/reporters': { rooms: ['src/core', 'src/ports.ts', 'src/engine'], packages: ['ora', 'node:*'] },
  'src/cli': {
    rooms: [
      'src/core',
      'src/ports.ts',
      'src/commands',
      'src/engine',
      'src/config',
      'src/reporters',
      'src/simulator',
    ],
    packages: ['commander', 'node:*'],
  },
  'src/index.ts': { rooms: ['src/core', 'src/config', 'src/ports.ts'], packages: [] },
  strategies: { rooms: ['src/core'], packages: [] },
  hooks: { rooms: ['src/core', 'src/ports.ts'], packages: [] },
  bin: { rooms: ['*'], packages: ['*'] },
};

/** Rooms that reach the world themselves, and so may use its clock, chance and screen. */
const worldly = ['src/adapters', 'src/sandbox', 'bin'];

/** What the others must ask for, and where. */
const bans: readonly {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly but?: readonly string[];
}[] = [
  { pattern: /\bDate\.now\b|\bnew Date\(\)/, instead: 'ports.clock.nowMs()' },
  { pattern: /\bnew Date\(|\bDate\.UTC\b/, instead: 'src/core/instant.ts', but: ['src/core/instant.ts'] },
  { pattern: /\bMath\.random\b/, instead: 'ports.random' },
  { pattern: /\b(setTimeout|setInterval|setImmediate)\b/, instead: 'ports.clock.sleep()' },
  { pattern: /\bconsole\./, instead: 'an Event, or the streams of the Environment' },
  { pattern: /\bprocess\./, instead: 'the Environment that bin passes in' },
];

const root = new URL('..', import.meta.url).pathname;
const tops = ['bin', 'src', 'strategies', 'hooks'];

interface Source {
  readonly path: string;
  /** Code alone: no comments, no contents of texts. */
  readonly code: string;
  readonly imports: readonly string[];
}

const files = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));

const sources: readonly Source[] = tops.flatMap(files).map((path) => {
  const text = readFileSync(join(root, path), 'utf8');
  const code = blanked(text);
  const specifiers = [...code.matchAll(/\b(?:from|import)\s*\(?\s*'( *)'/g)].map((match) => {
    const end = match.index + match[0].length - 1;
    return text.slice(end - match[1]!.length, end);
  });
  return { path, code, imports: specifiers };
});

/** The text with every comment, and what stands inside quotes, blanked: each offset stays what it was. */
function blanked(text: string): string {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[`{}]/g;
  let result = '';
  let done = 0;
  /** Open template literals, each with the braces that are open inside its `${`; -1: in its text. */
  const templates: number[] = [];
  const inTemplate = (): boolean => templates.at(-1) === -1;
  const keep = (end: number): void => {
    const part = text.slice(done, end);
    result += inTemplate() ? part.replace(/[^\n]/g, ' ') : part;
    done = end;
  };
  for (const { 0: token, index } of text.matchAll(tokens)) {
    if (index < done) continue;
    keep(index);
    if (token === '`') {
      if (inTemplate()) templates.pop();
      else templates.push(-1);
    } else if (token === '{' && inTemplate() && text[index - 1] === '$') templates[templates.length - 1] = 0;
    else if (token === '{' && templates.length > 0 && !inTemplate()) templates[templates.length - 1]!++;
    else if (token === '}' && templates.length > 0 && !inTemplate()) templates[templates.length - 1]!--;
    else if (token.length > 1 && !inTemplate()) {
      const quote = /['"]/.test(token[0]!) ? token[0]! : ' ';
      result += quote + token.slice(1, -1).replace(/[^\n]/g, ' ') + quote;
      done = index + token.length;
    }
  }
  keep(text.length);
  return result;
}

const roomOf = (path: string): string => {
  const room = Object.keys(rooms).find((name) => path === name || path.startsWith(`${name}/`));
  if (!room) throw new Error(`${path} stands in no room of the design`);
  return room;
};

const target = (from: string, specifier: string): string => join(dirname(from), specifier);

describe('the import table', () => {
  test.each(sources.map(({ path, imports }) => ({ path, imports })))(
    '$path imports only what its room may',
    ({ path, imports }) => {
      const room = roomOf(path);
      const wrong = imports.flatMap((specifier) => {
        const { rooms: allowed, packages } = rooms[room]!;
        if (specifier.startsWith('.')) {
          const other = roomOf(target(path, specifier));
          return other === room || allowed.includes('*') || allowed.includes(other)
            ? []
            : [`${specifier} (${other})`];
        }
        const fits = packages.some(
          (name) =>
            name === '*' || name === specifier || (name === 'node:*' && specifier.startsWith('node:')),
        );
        return fits ? [] : [specifier];
      });
      expect(
        wrong,
        `${room} may import ${rooms[room]!.rooms.join(', ') || 'nothing'} and ${rooms[room]!.packages.join(', ') || 'no package'}`,
      ).toEqual([]);
    },
  );

  test('names Node.js modules with node:', () => {
    const bare = sources.flatMap(({ path, imports }) =>
      imports.filter((name) => builtinModules.includes(name)).map((name) => `${path}: ${name}`),
    );
    expect(bare).toEqual([]);
  });

  test('has no cycle', () => {
    const graph = new Map(
      sources.map(({ path, imports }) => [
        path,
        imports.filter((s) => s.startsWith('.')).map((s) => target(path, s)),
      ]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (done.has(path) || trail.includes(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  /** A program of its own, and what only the README is made from. */
  const standAlone = ['src/sandbox/traffic-process.ts', 'src/config/reference.ts'];

  test('leaves no file that nobody imports', () => {
    const imported = new Set(
      sources.flatMap(({ path, imports }) =>
        imports.filter((s) => s.startsWith('.')).map((s) => target(path, s)),
      ),
    );
    const roots = (path: string): boolean =>
      path.startsWith('bin/') || path === 'src/index.ts' || standAlone.includes(path);
    expect(sources.map(({ path }) => path).filter((path) => !imported.has(path) && !roots(path))).toEqual([]);
  });
});

describe('the world is reached through ports', () => {
  const pure = sources.filter(({ path }) => !worldly.includes(roomOf(path)));
  test.each(bans)('nothing but adapters, sandbox and bin uses $pattern', ({ pattern, instead, but = [] }) => {
    const found = pure
      .filter(({ path, code }) => !but.includes(path) && pattern.test(code))
      .map(({ path }) => path);
    expect(found, `use ${instead} instead`).toEqual([]);
  });
});

test('no file is named for what it is not about', () => {
  const vague = sources.filter(({ path }) =>
    /\/(utils?|helpers?|common|types|constants|interfaces|misc)\.ts$/.test(path),
  );
  expect(vague.map(({ path }) => path)).toEqual([]);
});
