import { balancerContract } from '../../contracts/balancer.ts';
import { newerHaproxy } from '../../lab/haproxy.ts';
import { abilitiesOf, startLab } from './haproxy-lab.ts';
import { reloadContract } from './haproxy-reload.ts';

const program = newerHaproxy();

balancerContract(
  'a HAProxy 3',
  { ...abilitiesOf({ rotation: 'kept', requests: 'counted' }), errorsUnanswered: 2 },
  (backends) => startLab(backends, { remembers: true, program }),
);

reloadContract('HAProxy 3 that is reloaded', program);
