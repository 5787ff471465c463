import { localTransport } from '../../../src/adapters/transports/local.ts';
import { transportContract } from '../../contracts/transport.ts';
import { hostOf } from './settings.ts';

transportContract('local', async () => ({
  transport: localTransport({ become: null }),
  host: hostOf(),
  stop: async () => undefined,
}));
