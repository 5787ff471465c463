/**
 * A value that no log, journal, error or JSON ever shows. Call `reveal()` only in the last call before the
 * value leaves the program, and hand it over through stdin or a request body, never on a command line.
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
