import { nodeHttp } from '../../src/adapters/http.ts';
import { notifier } from '../../src/adapters/notifier.ts';
import type { SiteInput } from '../../src/config/site.ts';
import type { Event } from '../../src/core/event.ts';
import { siteWith } from '../config/parsing.ts';
import { goodRun } from '../reporters/example-run.ts';

/** What is said of notices that were not taken. */
export async function told(
  notices: readonly object[],
  {
    events = goodRun,
    env = {},
  }: { readonly events?: readonly Event[]; readonly env?: SiteInput['env'] } = {},
): Promise<readonly string[]> {
  const warnings: string[] = [];
  const http = nodeHttp({ connect: () => Promise.reject(new Error('not used here')) });
  const site = siteWith({ notices }, { env: { HOME: '/home/ann', ...env } });
  const { tell, settled } = notifier({ notices: site.notices, http, warn: (text) => warnings.push(text) });
  for (const event of events) tell(event);
  await settled();
  return warnings;
}
