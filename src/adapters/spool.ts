import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure, messageOf } from '../core/errors.ts';
import type { Spool } from '../ports.ts';

/** Files in a directory of their own among the temporary ones, readable for this user alone. */
export const fileSpool: Spool = {
  async begin() {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
    const file = join(folder, 'artifact.tar.gz');
    const handle = openSync(file, 'wx', 0o600);
    const digest = createHash('sha256');
    let bytes = 0;
    const discard = (): Promise<void> => rm(folder, { recursive: true, force: true });
    return {
      // At once, so that no more of it waits in memory than the connection brings.
      write(chunk) {
        try {
          bytes += writeSync(handle, chunk);
        } catch (error) {
          throw failure('SPOOL_FAILED', { file, reason: messageOf(error) }, error);
        }
        digest.update(chunk);
      },
      async end() {
        closeSync(handle);
        return {
          bytes,
          digest: digest.digest('hex'),
          read: () => createReadStream(file, { highWaterMark: readBytes }),
          discard,
        };
      },
      async discard() {
        closeSync(handle);
        await discard();
      },
    };
  },
};

const readBytes = 1024 * 1024;
