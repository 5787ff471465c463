import { parsed, problem, type ReadSecret } from '../core/field.ts';
import { Secret } from '../core/secret.ts';

/** The world that secrets are read from. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text; throws if it cannot. */
  readonly readFile: (path: string) => string;
  /** Makes a path of the config absolute. */
  readonly local: (path: string) => string;
}

/** Reads secrets by their place. The line break that ends a file is not part of the secret. */
export const secretReader =
  ({ env, readFile, local }: SecretSources): ReadSecret =>
  (place, path) => {
    if ('env' in place) {
      const value = env[place.env];
      return value
        ? parsed(new Secret(value))
        : problem(path, `the environment variable ${place.env} is not set`);
    }
    try {
      const value = readFile(local(place.file)).replace(/\r?\n$/, '');
      return value === '' ? problem(path, `${place.file} is empty`) : parsed(new Secret(value));
    } catch (error) {
      return problem(path, `${place.file} could not be read: ${(error as Error).message}`);
    }
  };
