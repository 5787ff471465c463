import { type Command, json } from '../call.ts';

/** For editors: what a config may say. */
export const schemaCommand: Command = async ({ environment }) => {
  environment.stdout.write(json(await environment.config.schema()));
  return 0;
};
