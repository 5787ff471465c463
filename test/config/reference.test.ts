import { expect, test } from 'vitest';
import { siteFields } from '../../src/config/fields.ts';
import { settingsReference } from '../../src/config/reference.ts';
import { registries } from './parsing.ts';

const reference = settingsReference(registries);

test('the reference has a row for each setting, with its sentence', () => {
  for (const [name, { summary }] of Object.entries(siteFields(registries))) {
    expect(reference).toMatch(new RegExp(`^\\| \`${name}\` \\|.*\\| ${escaped(summary)} \\|$`, 'm'));
  }
});

test('a default is written as in a config, and what must be set stands out', () => {
  expect(reference).toContain("| `timeout` | a duration of at least '1ms' | 30m |");
  expect(reference).toContain(
    "| `deployTo` | an absolute path other than '/', without '..' | **required** |",
  );
});

test.each([
  '### `source`',
  '### Each entry of `nodes`',
  '### Each entry of `checks`',
  '### Each entry of `hooks`',
  '### `balancers` with `kind: haproxy`',
  '### `strategy` with `name: rolling`',
  '### `hooks` with `use: slack`',
])('the reference has the section %s', (title) => {
  expect(reference).toContain(`\n${title}\n`);
});

test('every row of every table has four cells', () => {
  const rows = reference.split('\n').filter((line) => line.startsWith('|'));
  expect(rows.filter((row) => row.replaceAll('\\|', '').split('|').length !== 6)).toEqual([]);
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
