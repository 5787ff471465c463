import { Writable } from 'node:stream';
import type { Output } from '../../src/reporters/reporter.ts';

/** A stream that keeps what is written to it. */
export function memoryOutput(more: { isTTY?: boolean; columns?: number } = {}): Output & { text(): string } {
  let written = '';
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      written += String(chunk);
      done();
    },
  });
  return Object.assign(stream, more, { text: () => written });
}
