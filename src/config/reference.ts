import type { Field, Fields } from '../core/field.ts';
import { backupKinds } from './backup.ts';
import {
  addressesOfSite,
  balancersOfSite,
  noticeFields,
  type Registries,
  s3Fields,
  seedFields,
  siteFields,
} from './fields.ts';
import { fleetSiteFields, instanceFields, replacementFields } from './fleet-fields.ts';
import { readyMadeHookFields } from './hook-entry.ts';
import { listFields } from './listed-nodes.ts';

/** The settings reference in Markdown: a table of all settings, then one for each that has settings inside. */
export function settingsReference(registries: Registries): string {
  const fields = siteFields(registries);
  const fleets = fleetSiteFields(registries);
  const inner = Object.entries<Field<unknown>>(fields).flatMap(([name, { inside, many }]) =>
    inside ? [section(titles[many ?? 'one'](name), inside)] : [],
  );
  return [
    table(fields as Fields<unknown>),
    ...inner,
    section('`source.seed`', seedFields),
    section('`source.seed.store.s3`', s3Fields),
    section('Each `nodes` with `from`', listFields),
    ...kinds('nodes', 'from', registries.inventories),
    section('Each ready-made hook', readyMadeHookFields),
    section('Each notice', noticeFields),
    ...kinds('backup', 'kind', backupKinds),
    ...kinds('balancers', 'kind', balancersOfSite(registries.balancers)),
    ...kinds('addresses', 'kind', addressesOfSite(registries.addresses)),
    ...kinds('strategy', 'name', registries.strategies),
    ...kinds('hooks', 'use', registries.hooks),
    ...kinds('notices', 'to', registries.notices),
    section('A site that is a fleet', fleets as Fields<unknown>, 'In place of all settings above.'),
    section('`source.seed` of a fleet', instanceFields),
    section('Each kind of fleet', replacementFields),
    ...kinds('fleet', 'kind', registries.fleets),
  ].join('\n\n');
}

const titles = {
  one: (name: string) => `\`${name}\``,
  list: (name: string) => `Each entry of \`${name}\``,
  map: (name: string) => `Each value of \`${name}\``,
};

const kinds = (
  setting: string,
  tag: string,
  registry: Readonly<
    Record<string, { readonly summary: string; readonly options: Fields<Record<string, unknown>> }>
  >,
): readonly string[] =>
  Object.entries(registry).flatMap(([name, { summary, options }]) => {
    const title = `\`${setting}\` with \`${tag}: ${name}\``;
    const inner = Object.entries(options).flatMap(([option, { inside, many }]) =>
      inside ? [section(`${titles[many ?? 'one'](option)} of ${title}`, inside)] : [],
    );
    return [section(title, options, summary), ...inner];
  });

const section = (title: string, fields: Fields<unknown>, summary = ''): string =>
  [`### ${title}`, summary, Object.keys(fields).length > 0 ? table(fields) : '']
    .filter((part) => part !== '')
    .join('\n\n');

const table = (fields: Fields<unknown>): string =>
  [
    '| setting | value | default | |',
    '| --- | --- | --- | --- |',
    ...Object.entries<Field<unknown>>(fields).map(row),
  ].join('\n');

const row = ([name, { expected, absent, summary }]: [string, Field<unknown>]): string =>
  `| ${[`\`${name}\``, expected, absent ? absent.shown : '**required**', summary].map(cell).join(' | ')} |`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
