/** Stops the run on a bug: a state that a correct program cannot reach. Never used for input. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new AssertionError(claim);
}

/** The branch that the compiler proves unreachable. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected ${JSON.stringify(value)}`);
}

/** A bug in sluice. Nothing more is touched once it is thrown. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
  constructor(claim: string) {
    super(`This is a bug in sluice: it relies on "${claim}", which does not hold.`);
  }
}
