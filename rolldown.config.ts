import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { defineConfig, type Plugin, type PreRenderedChunk } from 'rolldown';

const root = import.meta.dirname;

/** What is started or imported by its path. Each becomes the file of the same name in dist. */
const entries = ['bin/sluice', 'bin/demo', 'src/index'];

/**
 * To load a module costs Node.js about a millisecond, however small it is, so what is used together is one file. A
 * module stands in the first of these that it matches, with all that it imports and no earlier one has. Each module that
 * is imported when it is needed keeps a file of its name; so does what imports a package that few runs need.
 */
const chunks: Readonly<Record<string, RegExp>> = {
  core: /^src\/core\//,
  start: /^src\/(cli\/program|reporters\/github-mask)\.ts$/,
  commands: /^src\/commands\//,
  engine: /^src\/engine\//,
  config: /^src\/config\//,
  reporters: /^src\/reporters\/(?!spinner)/,
  cli: /^src\/cli\//,
  adapters: /^src\/adapters\/(?!transports\/)/,
  simulator: /^src\/simulator\//,
  // It is a program too, and runs the file that it stands in.
  traffic: /^src\/sandbox\/traffic-process\.ts$/,
};

/** After a build there is nothing in dist that no source of today led to, and the program may be run. */
const tidy: Plugin = {
  name: 'tidy',
  writeBundle({ dir = '' }, written) {
    for (const file of readdirSync(dir, { recursive: true, encoding: 'utf8' }))
      if (isStale(file, written)) rmSync(join(dir, file));
    chmodSync(join(dir, 'bin/sluice.js'), 0o755);
  },
};

function isStale(file: string, written: object): boolean {
  if (file.endsWith('.d.ts')) return !existsSync(join(root, file).replace(/\.d\.ts$/, '.ts'));
  return file.endsWith('.js') && !(file in written);
}

/** The path of the module that is imported when it is needed, as in the sources. */
const nameOf = ({ name, facadeModuleId: module }: PreRenderedChunk): string =>
  module ? relative(root, module).replace(/\.ts$/, '.js') : `chunks/${name}.js`;

export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `${name}.ts`])),
  platform: 'node',
  external: /^[^./]/,
  transform: { target: 'node20' },
  // That a module waits until it is needed does not have to keep it out of a chunk that is there already.
  checks: { ineffectiveDynamicImport: false },
  plugins: [tidy],
  output: {
    dir: 'dist',
    chunkFileNames: nameOf,
    minifyInternalExports: false,
    // Docs stand in the declarations. To read them past takes time, and a part of each file's size.
    comments: false,
    codeSplitting: {
      groups: Object.entries(chunks).map(([name, modules]) => ({
        name,
        test: (module) => modules.test(relative(root, module)),
      })),
    },
  },
});
