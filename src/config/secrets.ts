import { type Parsed, parsed, problem, type ReadSecret } from '../core/field.ts';
import { Secret } from '../core/secret.ts';

/** The world that secrets are read from. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text; throws if it cannot. */
  readonly readFile: (path: string) => string;
  /** Makes a path of the config absolute. */
  readonly local: (path: string) => string;
  /** Told of each secret that is read. */
  readonly onSecret?: (secret: Secret) => void;
}

/** Reads secrets by their place. The line break that ends a file is not part of the secret. */
export const secretReader =
  ({ onSecret, ...sources }: SecretSources): ReadSecret =>
  (place, path) => {
    const read =
      'env' in place ? fromVariable(place.env, path, sources) : fromFile(place.file, path, sources);
    if (read.ok) onSecret?.(read.value);
    return read;
  };

function fromVariable(name: string, path: string, { env }: SecretSources): Parsed<Secret> {
  const value = env[name];
  return value ? parsed(new Secret(value)) : problem(path, `the environment variable ${name} is not set`);
}

function fromFile(file: string, path: string, { readFile, local }: SecretSources): Parsed<Secret> {
  try {
    const value = readFile(local(file)).replace(/\r?\n$/, '');
    return value === '' ? problem(path, `${file} is empty`) : parsed(new Secret(value));
  } catch (error) {
    return problem(path, `${file} could not be read: ${(error as Error).message}`);
  }
}
