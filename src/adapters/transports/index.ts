import type { Site, SshSettings } from '../../core/site.ts';
import type { Transport } from '../../ports.ts';

/** The transport that a site asks for; only that one's code is loaded. */
export const createTransport = ({ ssh, become }: Pick<Site, 'ssh' | 'become'>): Promise<Transport> =>
  transports[ssh.transport](ssh, { become });

type Create = (settings: SshSettings, options: Pick<Site, 'become'>) => Promise<Transport>;

const transports: { readonly [Name in SshSettings['transport']]: Create } = {
  ssh2: async (settings, options) => (await import('./ssh2.ts')).ssh2Transport(settings, options),
  openssh: async (settings, options) => (await import('./openssh.ts')).opensshTransport(settings, options),
  local: async (_, options) => (await import('./local.ts')).localTransport(options),
};
