import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import type { BalancerKind } from '../../../src/adapters/balancers/kind.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';

/** A driver named `front`, from settings as a config has them; it reaches nothing over SSH. */
export function balancerOf(
  kind: keyof typeof balancerKinds,
  raw: Readonly<Record<string, unknown>>,
  {
    nodes,
    pools = {},
  }: { readonly nodes: readonly string[]; readonly pools?: Readonly<Record<string, string>> },
): Balancer {
  const found: BalancerKind = balancerKinds[kind];
  const options = parseFields(found.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return found.create({
    name: 'front',
    options: options.value,
    nodes,
    pools,
    transport: null as unknown as Transport,
  });
}
