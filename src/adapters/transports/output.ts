import { Buffer } from 'node:buffer';

/** What a command writes, as it comes. */
export class Output {
  readonly #stdout: Uint8Array[] = [];
  readonly #stderr = new Tail();
  readonly #onStdout: ((chunk: Uint8Array) => void) | undefined;
  #bytes = 0;

  /** `onStdout` takes standard output as it comes, in place of this. */
  constructor(onStdout?: (chunk: Uint8Array) => void) {
    this.#onStdout = onStdout;
  }

  /** False: it is too much, and the command is to be ended. */
  addStdout(chunk: Uint8Array): boolean {
    if (this.#onStdout) return this.#pass(chunk, this.#onStdout);
    this.#bytes += chunk.length;
    if (!this.isTooLong) this.#stdout.push(chunk);
    return !this.isTooLong;
  }

  /** What `onStdout` threw; null: nothing. */
  error: unknown = null;

  #pass(chunk: Uint8Array, onStdout: (chunk: Uint8Array) => void): boolean {
    if (this.error !== null) return false;
    try {
      onStdout(chunk);
    } catch (error) {
      this.error = error;
    }
    return this.error === null;
  }

  addStderr(chunk: Uint8Array): void {
    this.#stderr.add(chunk);
  }

  get isTooLong(): boolean {
    return this.#bytes > stdoutBytesMax;
  }

  texts(): { readonly stdout: string; readonly stderr: string } {
    return { stdout: Buffer.concat(this.#stdout).toString('utf8'), stderr: this.#stderr.text() };
  }
}

/** A command whose standard output is longer is ended. */
export const stdoutBytesMax = 16 * 1024 * 1024;

/** Collects the last `bytesMax` bytes that are added, as text. */
class Tail {
  readonly #bytesMax: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax = 16 * 1024) {
    this.#bytesMax = bytesMax;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > 2 * this.#bytesMax) this.#keep(this.#last());
  }

  text(): string {
    return this.#last().toString('utf8');
  }

  #last(): Buffer {
    return Buffer.concat(this.#chunks).subarray(-this.#bytesMax);
  }

  /** Copied, so that the whole that it was cut from is not kept alive. */
  #keep(bytes: Buffer): void {
    this.#chunks = [Buffer.from(bytes)];
    this.#bytes = bytes.length;
  }
}
