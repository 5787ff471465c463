import { failure, isDeployError } from '../../core/errors.ts';
import { describe, type Fields } from '../../core/field.ts';
import { type AwsAccess, awsAccess } from '../aws/access.ts';
import { type Asker, type AwsApi, type AwsPackage, awsApi } from '../aws/api.ts';

/** How AWS is reached for a fleet. */
export const fleetAccess: Fields<AwsAccess> = {
  ...awsAccess,
  region: describe('The region of the fleet.', awsAccess.region),
};

/** An API of AWS for a fleet: rejects with `FLEET_UNREACHABLE` or `FLEET_REFUSED`. */
export const fleetApi = <Client extends { destroy(): void }>(
  fleet: string,
  access: AwsAccess,
  sdk: AwsPackage<Client>,
): AwsApi<Client> => awsApi(askerFor(fleet), access, sdk);

const askerFor = (fleet: string): Asker => ({
  name: fleet,
  unreachable: (address, reason) => failure('FLEET_UNREACHABLE', { fleet, address, reason }),
  refused: (request, answer) => failure('FLEET_REFUSED', { fleet, request, answer }),
});

/** What AWS refuses by one of these names is so already, or is seen at the next look; all else goes up. */
export async function unless(names: readonly string[], work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    const isKnown =
      isDeployError(error, 'FLEET_REFUSED') &&
      names.some((name) => String(error.details.answer).startsWith(`${name}: `));
    if (!isKnown) throw error;
  });
}
