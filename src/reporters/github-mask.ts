import type { Secret } from '../core/secret.ts';
import type { Output } from './reporter.ts';

export interface MaskPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One that GitHub's runner reads, and no other program does. */
  readonly stderr: Pick<Output, 'write'>;
}

/**
 * In a job of GitHub, has the runner hide each secret from its log, whoever writes there. It takes the line that says so away.
 * Elsewhere nothing is written. Source: GitHub Actions, "Workflow commands", Masking a value in a log.
 */
export function secretMask({ env, stderr }: MaskPlace): (secret: Secret) => void {
  const told = new Set<string>();
  return (secret) => {
    const value = secret.reveal();
    if (env.GITHUB_ACTIONS !== 'true' || told.has(value)) return;
    told.add(value);
    stderr.write(`::add-mask::${commandData(value)}\n`);
  };
}

/** Text as the data of a workflow command. */
export const commandData = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
