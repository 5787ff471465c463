import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';
import { asRoot, type Director, findIpvsadm, readLines } from './ipvs.ts';
import { type IpvsTable, ipvsTableOf, linesOf } from './ipvs-table.ts';
import { type LdirectordConfig, ldirectordConfigOf } from './ldirectord-config.ts';
import { quote, words } from './shell.ts';

export interface LdirectordState {
  readonly config: LdirectordConfig;
  /** The number of its process; null: it does not run. */
  readonly process: number | null;
  /** The names of the files in its `maintenancedir`. */
  readonly maintenance: readonly string[];
  readonly table: IpvsTable;
}

export interface LdirectordPlace extends Director {
  /** Absolute path of its configuration. */
  readonly config: string;
}

/** Reads the configuration of ldirectord on a director, what it has in maintenance, and the table that it tends. */
export const readLdirectord = (place: LdirectordPlace): NodeCommand<LdirectordState> => ({
  name: 'read-ldirectord',
  params: { ...place },
  summary: `read ${place.config}`,
  script: asRoot(place.sudo, [findIpvsadm, findMaintenance(place.config), stateLines(place.config)]),
  parse: stateOf,
  timeoutMs: 10_000,
});

export interface MaintenanceOrder {
  readonly to: 'in' | 'out';
  /** The name of the file: ldirectord takes out what it names. */
  readonly file: string;
  /** The line of the table that must have weight 0 then; null: there is none. */
  readonly entry: { readonly service: string; readonly address: string } | null;
}

export interface MaintenanceOrders extends LdirectordPlace {
  readonly orders: readonly MaintenanceOrder[];
  /** How long ldirectord may take to obey: it looks once in each of its `checkinterval`s. */
  readonly withinSeconds: number;
}

/** Writes and deletes files of maintenance, waits until the table has what was taken out at weight 0, and reads all. */
export const setMaintenanceFiles = (input: MaintenanceOrders): NodeCommand<LdirectordState> => ({
  name: 'set-maintenance-files',
  params: { ...input },
  summary: input.orders
    .map(({ to, file }) => `${to === 'in' ? 'delete' : 'write'} ${file} in maintenancedir`)
    .join('; '),
  script: asRoot(input.sudo, [
    findIpvsadm,
    findMaintenance(input.config),
    '[ -d "$maintenance" ] || { echo "its maintenancedir $maintenance is not a directory" >&2; exit 1; }',
    ...input.orders.map(({ to, file }) =>
      to === 'in' ? `rm -f "$maintenance"/${quote(file)}` : `: > "$maintenance"/${quote(file)}`,
    ),
    ...waitLines(input),
    stateLines(input.config),
  ]),
  parse: stateOf,
  timeoutMs: (input.withinSeconds + 15) * 1000,
});

function waitLines({ orders, withinSeconds }: MaintenanceOrders): readonly string[] {
  const entries = orders.flatMap(({ to, entry }) => (to === 'out' && entry ? [entry] : []));
  if (entries.length === 0) return [];
  const patterns = entries.flatMap(({ service, address }) => ['-e', `-a ${service} -r ${address} `]);
  return [
    `isTold() { ! ipvsadm -S -n | ${words('grep', '-F', ...patterns)} | grep -qv -e '-w 0 *$' -e '-w 0 -'; }`,
    'since=$(date +%s)',
    `until isTold || [ $(($(date +%s) - since)) -gt ${withinSeconds} ]; do sleep 0.25 2>/dev/null || sleep 1; done`,
  ];
}

const heads = { config: '== ldirectord', process: '== process', maintenance: '== maintenance' } as const;

/** `maintenancedir = /path`; the last one counts. */
function findMaintenance(config: string): string {
  assert(/^\/[\w./-]+$/.test(config), 'nothing in it means anything to sh');
  return [
    `[ -r ${config} ] || { echo "${config} cannot be read" >&2; exit 1; }`,
    `maintenance=$(sed -n 's/^maintenancedir[[:space:]]*=[[:space:]]*//p' ${config} | tail -n 1)`,
  ].join('\n');
}

/** Started without the path of its configuration, it is called `ldirectord`; else after the file (ldirectord(8)). */
const stateLines = (config: string): string =>
  [
    words('echo', heads.config),
    `cat ${config}`,
    words('echo', heads.process),
    `for file in /var/run/ldirectord.${baseOf(config)}.pid /var/run/ldirectord.ldirectord.pid; do`,
    '  if read -r pid 2>/dev/null < "$file" && kill -0 "$pid" 2>/dev/null; then echo "$pid"; break; fi',
    'done',
    words('echo', heads.maintenance),
    '[ ! -d "$maintenance" ] || ls -A "$maintenance"',
    readLines(['counts']),
  ].join('\n');

const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

function stateOf(output: string): LdirectordState {
  const [pid] = linesOf(output, heads.process);
  return {
    config: ldirectordConfigOf(linesOf(output, heads.config).join('\n')),
    process: pid === undefined ? null : Number(pid),
    maintenance: linesOf(output, heads.maintenance),
    table: ipvsTableOf(output),
  };
}
