import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
});
afterAll(() => lab?.stop());

test('every node has the assets of the old and of the new release before the first one changes, and after a rollback', async () => {
  const seen = join(lab.folder, 'seen');
  const releases = ['web1', 'web2'].map((name) => `${lab.folder}/${name}/srv/assets/releases`);
  const site = await lab.site({
    name: 'assets',
    nodes: 2,
    kind: 'files',
    settings: {
      source: {
        git: lab.repository.folder,
        build: [
          'mkdir -p public/build; cp version "public/build/app.$(cat version).js"; cp version public/build/manifest',
        ],
      },
      assets: ['public/build'],
      hooks: {
        'before:activate': [
          {
            run: `for at in ${releases.join(' ')}; do ls -d $at/*/public/build/*; done >> ${seen}; echo >> ${seen}`,
            on: 'operator',
          },
        ],
      },
    },
  });
  const first = await site.deployed('good-1');
  await rm(seen);
  const told = await site.deploy('good-2');
  expect(told.exit, told.output).toBe(0);
  expect(told.output).toContain(
    '1 asset with other content in the live release, each keeps its own: public/build/manifest',
  );
  const second = await site.release();

  const [atFirstChange = ''] = (await readFile(seen, 'utf8')).split('\n\n');
  for (const at of releases)
    for (const release of [first, second])
      for (const file of ['app.good-1.js', 'app.good-2.js', 'manifest'])
        expect(atFirstChange.split('\n')).toContain(`${at}/${release}/public/build/${file}`);

  expect(await site.rollback()).toMatchObject({ exit: 0 });
  expect(await site.release()).toBe(first);
  for (const node of site.nodes) {
    const read = (file: string) => site.read(node, 'releases', first, 'public/build', file);
    expect([await read('app.good-2.js'), await read('manifest')]).toEqual(['good-2\n', 'good-1\n']);
  }
});
