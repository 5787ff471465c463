import {
  changeOf,
  type Difference,
  type ImageEntry,
  type ImageSummary,
  type Manifest,
} from '../core/image.ts';
import { isoTime } from '../core/instant.ts';
import { shortRevision } from './release-text.ts';
import { table } from './table.ts';

/** The images of a store, newest first. */
export const imagesText = (images: readonly ImageSummary[]): string =>
  images.length === 0
    ? 'There is no image yet; sluice seed build makes one.\n'
    : `${table([
        ['image', 'captured', 'files', 'bytes', 'from', 'by'],
        ...images.map(({ name, atMs, files, bytes, from, by, commit }) => [
          shortRevision(name),
          isoTime(atMs),
          `${files}`,
          `${bytes}`,
          commit === null ? from : `${from} at ${shortRevision(commit)}`,
          by,
        ]),
      ])}\n`;

/** All that is in an image, a line each. */
export const manifestListing = (manifest: Manifest): string =>
  manifest.map((entry) => `${details[entry.kind](entry as never)} ${entry.path}\n`).join('');

type Of<K extends ImageEntry['kind']> = Extract<ImageEntry, { readonly kind: K }>;

const details: { readonly [K in ImageEntry['kind']]: (entry: Of<K>) => string } = {
  file: ({ mode, bytes, digest }) => `file ${mode} ${bytes} ${digest.slice(0, 12)}`,
  directory: ({ mode }) => `directory ${mode}`,
  link: ({ target }) => `link to ${target}:`,
};

/** A line for each path that differs, as `git diff --name-status` has it: A, D or M. */
export const differencesListing = (found: readonly Difference[]): string =>
  found.length === 0
    ? 'Nothing differs.\n'
    : found.map((one) => `${letters[changeOf(one)]} ${one.path}\n`).join('');

const letters = { added: 'A', removed: 'D', changed: 'M' } as const;
