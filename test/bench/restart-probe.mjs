// Runs on a node: goes back and forth between its two newest releases, and prints how many milliseconds each restart took.
import { spawnSync } from 'node:child_process';
import { readdirSync, renameSync, symlinkSync } from 'node:fs';

const [deployTo, url, program, ...words] = process.argv.slice(1);
const releases = readdirSync(`${deployTo}/releases`).sort().slice(-2);
const took = [];
for (let turn = 0; turn < 6; turn++) took.push(await restart(releases[turn % 2]));
console.log(JSON.stringify(took));

async function restart(release) {
  const startMs = performance.now();
  symlinkSync(`${deployTo}/releases/${release}`, `${deployTo}/current.new`);
  renameSync(`${deployTo}/current.new`, `${deployTo}/current`);
  spawnSync(program, words);
  while (!(await answer()).includes(`release ${release} `)) {
    if (performance.now() - startMs > 30_000) throw new Error(`${url} does not answer as ${release}`);
  }
  return performance.now() - startMs;
}

function answer() {
  return fetch(url, { headers: { connection: 'close' } }).then(
    (response) => response.text(),
    () => '',
  );
}
