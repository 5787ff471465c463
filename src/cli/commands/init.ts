import type { Command } from '../call.ts';

export const initCommand: Command = async ({ environment, words }) => {
  const { file, application } = await environment.config.init(words[0] ?? null);
  const found = application === null ? '' : ` for ${application}`;
  const yours = application === 'aws-fleet' ? 'your seed and your group' : 'your nodes';
  environment.stdout.write(`Wrote ${file}${found}. Name ${yours} in it, then: sluice check production\n`);
  return 0;
};
