/** A function that puts `[secret]` in the place of every secret in a text. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const hidden = [...new Set(secrets.flatMap(parts))].sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((safe, secret) => safe.replaceAll(secret, '[secret]'), text);
}

/** Plain data with every text in it safe. */
export const redacted = <T>(value: T, redact: (text: string) => string): T =>
  JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'string' ? redact(part) : part,
  );

/** Output comes a line at a time: of a secret of several lines, such as a key, each long line is a secret. */
const parts = (secret: string): readonly string[] =>
  [secret, ...secret.split(/\r?\n/).filter((line) => line.length >= lineMin)].filter((part) => part !== '');

/** A shorter line, such as a brace, says nothing, and would hide half of the output. */
const lineMin = 8;
