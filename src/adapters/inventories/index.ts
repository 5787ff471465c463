import type { InventoryKind } from '../../core/inventory.ts';
import { ansible } from './ansible.ts';
import { autoScalingGroup } from './auto-scaling-group.ts';
import { command } from './command.ts';
import { tags } from './tags.ts';
import { targetGroup } from './target-group.ts';

/** Every place that a list of nodes may come from, by the name that `from` has in a config. */
export const inventoryKinds = {
  'auto-scaling-group': autoScalingGroup,
  'target-group': targetGroup,
  tags,
  ansible,
  command,
} as const satisfies Readonly<Record<string, InventoryKind>>;
