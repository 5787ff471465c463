import { describe, type Field, type Fields, mapOf, refine, text } from '../../core/field.ts';
import { type InventoryKind, inventoryKind } from '../../core/inventory.ts';
import { type InstanceOptions, instanceOptions, instances } from './ec2.ts';

interface TagOptions extends InstanceOptions {
  readonly tags: Readonly<Record<string, string>>;
}

const wanted: Field<TagOptions['tags']> = mapOf(text, 'a tag');
const fields: Fields<TagOptions> = {
  tags: describe(
    "What an instance must have, such as { Role: 'web' }.",
    refine(wanted, `${wanted.expected}, and at least one`, (tags) => Object.keys(tags).length > 0),
  ),
  ...instanceOptions,
};

/** Instances of EC2 by what they are marked with. */
export const tags: InventoryKind = inventoryKind<TagOptions>({
  summary:
    'The instances of EC2 that run and have these tags. Each is named by its id; its tags are its labels, with instance-id.',
  options: fields,
  create({ tags: pairs, address, ...access }) {
    const all = Object.entries(pairs);
    const shown = `the instances of EC2 with ${all.map(([key, value]) => `${key}=${value}`).join(' ')}`;
    const Filters = all.map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] }));
    return {
      shown,
      list: (withinMs) =>
        instances({ list: shown, access, signal: AbortSignal.timeout(withinMs) }, { Filters }, address),
    };
  },
});
