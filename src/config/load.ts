import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Loader, PublicExplorer } from 'cosmiconfig';
import { failure, list } from '../core/errors.ts';
import type { FleetSite } from '../core/fleet.ts';
import type { Listing } from '../core/inventory.ts';
import { nearest } from '../core/nearest.ts';
import type { Secret } from '../core/secret.ts';
import type { Site } from '../core/site.ts';
import type { Registries } from './fields.ts';
import { isFleet, parseFleet } from './fleet-site.ts';
import type { WantedList } from './listed-nodes.ts';
import type { Overrides } from './overrides.ts';
import { parseSite, type SiteInput, wantedLists } from './site.ts';
import { stagesOf } from './stage.ts';

export interface LoadInput {
  /** Absolute; the search goes upward from here, to the home directory or the root. */
  readonly cwd: string;
  readonly registries: Registries;
  /** The module that a script gets when it imports `sluice`. */
  readonly api: () => Promise<unknown>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly overrides?: Overrides;
  /** Told of each secret that is read. */
  readonly onSecret?: (secret: Secret) => void;
}

/**
 * Finds, reads and parses a config. `wanted` is `stage`, for the config of this folder or one above; `site/stage`, for
 * one of several side by side (`shop/sluice.config.*` or `shop.sluice.config.*`); a config's only stage may be left
 * out (`''`, `site/`). Lists of nodes that are kept elsewhere are read. Throws `CONFIG_NOT_FOUND`, `CONFIG_UNREADABLE`,
 * `CONFIG_INVALID`, `STAGE_UNKNOWN`, `NODES_UNLISTED`, or `USAGE` if `wanted` or an override is wrong, or `FLEET_INSTEAD`.
 */
export async function loadSite(wanted: string, input: LoadInput): Promise<Site> {
  const site = await loadSiteOrFleet(wanted, input);
  if ('fleet' in site)
    throw failure('FLEET_INSTEAD', {
      what: 'This',
      instead: 'the README says what there is for a fleet, under Machine images on AWS',
    });
  return site;
}

/** As `loadSite`, for who knows what to do with a site that is a fleet. */
export async function loadSiteOrFleet(wanted: string, input: LoadInput): Promise<Site | FleetSite> {
  const { site, stage: named } = split(wanted);
  const { config, filepath: file } = await find(site, input);
  const stage = chooseStage(config, named, file);
  const env = { HOME: homedir(), ...input.env };
  const settings = { ...input, env, stage, file, readFile: (path: string) => readFileSync(path, 'utf8') };
  const lists = isFleet(config, settings) ? [] : wantedLists(config, settings);
  return parse(config, { ...settings, listings: await readLists(lists, settings) });
}

/** All lists are read at the same time. Throws `NODES_UNLISTED` for one that cannot be, or has no node. */
async function readLists(
  wanted: readonly WantedList[],
  { file, env, registries }: Pick<SiteInput, 'file' | 'env' | 'registries'>,
): Promise<ReadonlyMap<string, Listing>> {
  const place = { directory: dirname(file), env };
  const listings = await Promise.all(
    wanted.map(async ({ path, kind, options, withinMs }) => {
      const inventory = registries.inventories[kind]!.create(options, place);
      const nodes = await inventory.list(withinMs);
      if (nodes.length > 0) return [path, { shown: inventory.shown, nodes }] as const;
      throw failure('NODES_UNLISTED', { list: inventory.shown, reason: 'it lists no node' });
    }),
  );
  return new Map(listings);
}

function split(wanted: string): { readonly site: string | null; readonly stage: string } {
  const [, site = null, stage] = /^(?:([A-Za-z0-9][\w.-]*)\/)?([\w.-]*)$/.exec(wanted) ?? [];
  if (stage !== undefined) return { site, stage };
  throw failure('USAGE', { problem: `expected a stage or site/stage, got ${JSON.stringify(wanted)}` });
}

async function find(
  site: string | null,
  { cwd, env, api }: LoadInput,
): Promise<{ config: unknown; filepath: string }> {
  const explorer = await explorerOf(site, api);
  for (const folder of upward(cwd, env.HOME ?? homedir())) {
    const found = await explorer.search(folder);
    if (found) return found;
  }
  const searched = `${cwd} and the folders above it`;
  throw failure('CONFIG_NOT_FOUND', { searched, wanted: site ?? 'a site', sites: sitesIn(cwd) });
}

const extensions = ['ts', 'js', 'mjs', 'json', 'yaml', 'yml'];

async function explorerOf(site: string | null, api: LoadInput['api']): Promise<PublicExplorer> {
  const { cosmiconfig, defaultLoaders } = await import('cosmiconfig');
  const yaml = readable(defaultLoaders['.yaml']);
  const script = readable((file) => importScript(file, api));
  return cosmiconfig('sluice', {
    searchPlaces: placesOf(site),
    searchStrategy: 'none',
    ignoreEmptySearchPlaces: false,
    // JSON is read as YAML, of which it is a part: an error then names the line.
    loaders: { '.ts': script, '.js': script, '.mjs': script, '.json': yaml, '.yaml': yaml, '.yml': yaml },
  });
}

const placesOf = (site: string | null): string[] =>
  (site === null ? ['sluice.config'] : [`${site}/sluice.config`, `${site}.sluice.config`]).flatMap((place) =>
    extensions.map((extension) => `${place}.${extension}`),
  );

/** TypeScript and JavaScript through jiti, so that `sluice` can be imported wherever the config lies. */
async function importScript(file: string, api: LoadInput['api']): Promise<unknown> {
  const [{ createJiti }, sluice] = await Promise.all([import('jiti'), api()]);
  // No cache on disk: the common one lies where any user may write, and what it holds is run.
  const jiti = createJiti(file, { fsCache: false, moduleCache: false, virtualModules: { sluice } });
  return jiti.import(file, { default: true });
}

/** Every error is said to be the config's: cosmiconfig takes some that come out of it for an absent file. */
const readable =
  (load: Loader): Loader =>
  async (file, content) => {
    try {
      return await load(file, content);
    } catch (error) {
      throw failure('CONFIG_UNREADABLE', { file, reason: reasonOf(error as Error, file) }, error);
    }
  };

/** What is wrong, after the line where it is, as YAML errors (`mark`) and stacks of scripts tell it. */
function reasonOf(error: Error & { mark?: { line: number }; reason?: string }, file: string): string {
  const line = error.mark ? error.mark.line + 1 : /^\d+/.exec(error.stack?.split(`${file}:`)[1] ?? '')?.[0];
  const text = (error.reason ?? error.message)
    .split('\n')[0]!
    .replace(/^ParseError: /, '')
    .trim();
  return line === undefined ? text : `line ${line}: ${text}`;
}

/** The folder and those above it, as far as the home directory or the root. */
function upward(folder: string, home: string): readonly string[] {
  const above = dirname(folder);
  return folder === home || above === folder ? [folder] : [folder, ...upward(above, home)];
}

/** The sites that have a config side by side in a folder. */
function sitesIn(folder: string): readonly string[] {
  const name = new RegExp(`^(.+)[./]sluice\\.config\\.(${extensions.join('|')})$`);
  const files = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? extensions.map((extension) => `${entry.name}/sluice.config.${extension}`)
      : [entry.name],
  );
  const found = files.filter((file) => name.test(file) && existsSync(join(folder, file)));
  return [...new Set(found.map((file) => name.exec(file)![1]!))];
}

function chooseStage(config: unknown, named: string, file: string): string {
  const known = stagesOf(config);
  if (named === '' && known.length > 1)
    throw failure('USAGE', { problem: `${file} has the stages ${list(known)}: name one` });
  if (named === '') return known[0] ?? '';
  if (known.length === 0 || known.includes(named)) return named;
  throw failure('STAGE_UNKNOWN', { stage: named, known, file, nearest: nearest(named, known) });
}

/** The config by itself comes first: what is wrong only after that is the command line's. */
function parse(config: unknown, { overrides, ...input }: SiteInput): Site | FleetSite {
  if (isFleet(config, input)) {
    const plain = parseFleet(config, input);
    if (!plain.ok) throw failure('CONFIG_INVALID', { file: input.file, problems: plain.problems });
    const fleet = parseFleet(config, { ...input, ...(overrides && { overrides }) });
    if (!fleet.ok) throw failure('USAGE', { problem: fleet.problems.join('\n') });
    return fleet.value;
  }
  const plain = parseSite(config, input);
  if (!plain.ok) throw failure('CONFIG_INVALID', { file: input.file, problems: plain.problems });
  if (!overrides) return plain.value;
  const site = parseSite(config, { ...input, overrides });
  if (!site.ok) throw failure('USAGE', { problem: site.problems.join('\n') });
  return site.value;
}
