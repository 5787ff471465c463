import type { NodeName } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import type { Balancer, Ports } from '../ports.ts';
import { newDisk } from './node.ts';
import type { SeededRandom } from './random.ts';
import { isPooled, type World } from './world.ts';

/**
 * Machines that the list of nodes does not have yet, and that are not started: as many as the mix says, and the floor can do
 * without. Each is empty, or comes from an image with what was live before; that is never so where migrations are contracted, for
 * what such a machine serves would meet a database that does not fit it any more.
 */
export function holdBack(world: World, random: SeededRandom): void {
  const { site, nodes, batchMax, faults } = world;
  const spare = Math.min(nodes.size - 2, nodes.size - batchMax - site.servingMin);
  const count = isPooled(world) ? 0 : Math.max(0, Math.min(faults.mix.lateJoins, spare));
  const able = [...nodes.values()].filter(({ name }) => name !== site.cron?.node);
  const contracts = site.hooks.some(({ duty }) => duty === 'contract');
  for (const node of able.slice(able.length - count)) {
    world.unlisted.add(node.name);
    node.isUp = false;
    const isOfImage = random.chance(0.5) && node.disk.cronSince === null && !contracts;
    if (!isOfImage) node.disk = newDisk();
    for (const { servers } of world.members) servers.get(node.name)!.health = 'down';
  }
}

/** The site as its list has it now. One that never had late nodes names them all in its config. */
export const listedSite = ({ site, unlisted, faults }: World): Site => {
  if (faults.mix.lateJoins === 0) return site;
  const nodes = site.nodes.filter(({ name }) => !unlisted.has(name));
  return { ...site, nodes, lists: [{ shown: 'the list', nodes: nodes.length }] };
};

/** As drivers are made for the nodes of a site: they show no others. */
export const onlyOf = ({ nodes, lists }: Site, ports: Ports): Ports =>
  lists.length === 0
    ? ports
    : {
        ...ports,
        balancers: ports.balancers.map((balancer) =>
          showing(
            balancer,
            nodes.map(({ name }) => name),
          ),
        ),
      };

const showing = (balancer: Balancer, names: readonly NodeName[]): Balancer => ({
  ...balancer,
  async observe(signal) {
    const { members, servers } = await balancer.observe(signal);
    return { members, servers: servers.filter(({ node }) => names.includes(node)) };
  },
  async count(signal) {
    const { members, servers } = await balancer.count(signal);
    return { members, servers: servers.filter(({ node }) => names.includes(node)) };
  },
});
