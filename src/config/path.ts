import { type Field, type JsonSchema, scalar } from '../core/field.ts';

/** An absolute path on a node, without `..`; never the root itself, which a deploy would fill and clean. */
export const absolutePath: Field<string> = path(
  "an absolute path other than '/', without '..'",
  { type: 'string', pattern: '^/.*[^/]' },
  (parts, text) => text.startsWith('/') && parts.length > 0 && !parts.includes('..'),
  (parts) => `/${parts.join('/')}`,
);

/** A path inside the release, without `..`, as `git ls-files` would write it: no `./`, no slash at the end. */
export const pathInRelease: Field<string> = path(
  "a path inside the release, without '..' or a leading '/'",
  { type: 'string', pattern: '^[^/]' },
  (parts, text) => !text.startsWith('/') && parts.length > 0 && !parts.includes('..'),
  (parts) => parts.join('/'),
);

/** As `pathInRelease`, or `.` for the whole of it. */
export const directoryInSource: Field<string> = path(
  "a directory of the repository, without '..' or a leading '/'",
  { type: 'string', pattern: '^[^/]' },
  (parts, text) => !text.startsWith('/') && !parts.includes('..'),
  (parts) => (parts.length === 0 ? '.' : parts.join('/')),
);

/** A path on the machine that sluice runs on: `~/` is the home directory, others are relative to the config. */
export const localPath: Field<string> = path(
  "a path such as '~/.ssh/id_ed25519'",
  { type: 'string', minLength: 1 },
  () => true,
  (_, text) => text,
);

function path(
  expected: string,
  schema: JsonSchema,
  accepts: (parts: readonly string[], text: string) => boolean,
  write: (parts: readonly string[], text: string) => string,
): Field<string> {
  return scalar(expected, schema, (value) => {
    if (typeof value !== 'string' || value.trim() === '' || hasControls(value)) return undefined;
    const parts = value.split('/').filter((part) => part !== '' && part !== '.');
    return accepts(parts, value) ? write(parts, value) : undefined;
  });
}

/** A newline or NUL in a path is never meant, and splits what the path is written into. */
const hasControls = (text: string): boolean => /\p{Cc}/u.test(text);
