import type { Command } from '../call.ts';

export const initCommand: Command = async ({ environment, words }) => {
  const { file, application } = await environment.config.init(words[0] ?? null);
  const found = application === null ? '' : ` for ${application}`;
  environment.stdout.write(`Wrote ${file}${found}. Name your nodes in it, then: sluice check production\n`);
  return 0;
};
