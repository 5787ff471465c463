import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const dist = fileURLToPath(new URL('../dist', import.meta.url));

/** What a deploy over SSH from a git repository asks for when it needs it. */
const neededByDeploy = [
  'bin/ports.js',
  'bin/registries.js',
  'src/adapters/sources/git.js',
  'src/adapters/transports/ssh2.js',
  'src/cli/commands/deploy.js',
  'src/cli/commands/fleet.js',
  'src/cli/engine.js',
  'src/config/load.js',
  'src/index.js',
  'src/reporters/plain.js',
];

test('the version is printed out of three files', () => {
  expect(loadedWith(['bin/sluice.js'])).toEqual({
    files: ['bin/sluice.js', 'chunks/core.js', 'chunks/start.js'],
    packages: ['commander'],
  });
});

test('a deploy loads each room once, and neither the simulator nor what only the demo needs', () => {
  const { files, packages } = loadedWith(['bin/sluice.js', ...neededByDeploy]);
  const rooms = [
    'adapters',
    'cli',
    'commands',
    'config',
    'core',
    'engine',
    'reporters',
    'ssh-config',
    'start',
  ];
  expect(files.filter((file) => !file.startsWith('chunks/'))).toEqual(
    ['bin/sluice.js', ...neededByDeploy].sort(),
  );
  expect(files.filter((file) => file.startsWith('chunks/'))).toEqual(
    rooms.map((room) => `chunks/${room}.js`),
  );
  expect(packages).toEqual(['commander', 'ssh-config', 'ssh2']);
});

test('who imports sluice gets its data and no program', () => {
  expect(loadedWith(['src/index.js'])).toEqual({
    files: ['chunks/config.js', 'chunks/core.js', 'src/index.js'],
    packages: [],
  });
});

/** The files in dist that are loaded with these, and the packages. What is imported later does not count. */
function loadedWith(start: readonly string[]): { readonly files: string[]; readonly packages: string[] } {
  const packages = new Set<string>();
  const files = new Set(start);
  for (const file of files)
    for (const specifier of importsOf(readFileSync(join(dist, file), 'utf8')))
      if (specifier.startsWith('.')) files.add(relative(dist, join(dist, file, '..', specifier)));
      else if (!specifier.startsWith('node:')) packages.add(specifier);
  return { files: [...files].sort(), packages: [...packages].sort() };
}

const importsOf = (code: string): readonly string[] =>
  [...code.matchAll(/^(?:import|export) (?:[^;]* from )?"([^"]+)";$/gm)].map((match) => match[1]!);
