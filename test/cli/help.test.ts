import { describe, expect, test } from 'vitest';
import { commandEntries } from '../../src/cli/commands/index.ts';
import { sluice } from './fake-environment.ts';

const commands = commandEntries.map(({ name }) => name);

test('help lists every command with its sentence, on lines of at most 80 columns', async () => {
  const { status, stdout } = await sluice('--help', { env: {} });
  expect(status).toBe(0);
  for (const { name, summary } of commandEntries)
    expect(stdout).toMatch(new RegExp(`^  ${name} .*${summary}$`, 'm'));
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

describe.each(commands)('the help of %s', (name) => {
  test('is the same by both ways, and loads nothing', async () => {
    const { status, stdout, calls } = await sluice(`${name} --help`);
    expect({ status, calls }).toEqual({ status: 0, calls: [] });
    expect((await sluice(`help ${name}`)).stdout).toBe(stdout);
  });

  test('has an example of the command', async () => {
    const { stdout } = await sluice(`${name} --help`);
    expect(stdout).toMatch(new RegExp(`\nExamples:\n  sluice ${name}\\b`));
  });
});

test('the examples are commands that are understood', async () => {
  const examples = commandEntries.flatMap((entry) => entry.examples);
  const { files } = await sluice('plan production --out plan.json');
  for (const example of examples) {
    const line = example
      .replace(/^sluice /, '')
      .replace(/ > .*/, '')
      .replace(/'.*'/, 'gone');
    const { status, stderr } = await sluice(line, {
      env: { CI: 'true' },
      files,
      ...(line.includes('--watch') ? { signal: AbortSignal.abort('SIGINT') } : {}),
    });
    expect({ example, status, stderr }).toEqual({ example, status: 0, stderr: '' });
  }
});

test('what help prints, word for word', async () => {
  expect((await sluice('deploy --help')).stdout).toMatchInlineSnapshot(`
    "Usage: sluice deploy [options] [stage]

    Release a revision to the nodes.

    Arguments:
      stage                   production, or shop/production where sites stand side by side; an only
                              stage may be left out

    Options:
      --ref <ref>             a branch, tag, commit or image instead of the one in the config
      --nodes <names>         only these nodes, separated by commas
      --strategy <name>       another strategy than that of the config
      --batch <sizes>         nodes at a time: a count, a part, or a list of them such as 1,30%,100%
      --on-failure <policy>   rollback, rollback-batch, halt or hold
      --failures-max <count>  nodes that may fail and are left out: a count, or a part such as 10%
      --skip-unreachable      leave nodes out that cannot be reached, as many as failuresMax lets
      --maintenance           turn visitors away while database and nodes change
      --no-maintenance        let them in meanwhile, although the config says always
      --plan <file>           carry out this plan of sluice plan --out, or nothing; asks no more
      --take-over <how>       resume or abort what an earlier run left that died, then deploy
      --lock-wait <time>      wait so long, such as 10m, for another run to end
      --dry-run               print the whole plan, and change nothing
      --without-quorum        although most machines cannot be locked; written to the history
      -y, --yes               do not ask; implied by CI=true
      --json                  for programs: JSON on standard output
      --reporter <name>       pretty, plain, json, github or gitlab; default: what fits the terminal or
                              the CI
      -v, --verbose           every detail of every node, and all output of builds and hooks
      -h, --help              print this

    Examples:
      sluice deploy production
      sluice deploy shop/production --ref v2.1 --batch 1,30% --yes
      sluice deploy production --plan plan.json --lock-wait 10m
    "
  `);
});
