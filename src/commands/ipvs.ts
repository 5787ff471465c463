import { assert } from '../core/assert.ts';
import type { NodeCommand } from '../core/command.ts';
import {
  type IpvsNote,
  type IpvsServer,
  type IpvsTable,
  ipvsTableOf,
  noteName,
  sections,
} from './ipvs-table.ts';
import { loginCommand, words } from './shell.ts';

export interface Director {
  /** Whether root's rights are asked for through sudo. */
  readonly sudo: boolean;
}

/** What is read of a table beside its settings and notes: each is another run of ipvsadm. */
export type Detail = 'counts' | 'thresholds' | 'totals';

/** Reads the table of a director. */
export const readIpvs = ({ sudo }: Director, details: readonly Detail[]): NodeCommand<IpvsTable> => ({
  name: 'read-ipvs',
  params: { sudo, details },
  summary: 'ipvsadm -L',
  script: asRoot(sudo, [findIpvsadm, readLines(details)]),
  parse: ipvsTableOf,
  timeoutMs: 10_000,
});

export interface IpvsEdit {
  readonly service: string;
  readonly server: IpvsServer;
  /** What it is to have; 0: nothing new is sent there. */
  readonly weight: number;
  readonly note: IpvsNote | null;
}

export interface IpvsEdits extends Director {
  readonly edits: readonly IpvsEdit[];
  /** A file to which the table is written afterwards, as `ipvsadm-restore` reads it; null: none. */
  readonly save: string | null;
}

/**
 * Edits servers, each by one change that keeps all but the weight, and reads the table back. A note is there before what
 * it is about, and goes after it. The file is replaced at once, once all is changed.
 */
export const editIpvs = ({ edits, save, sudo }: IpvsEdits): NodeCommand<IpvsTable> => ({
  name: 'edit-ipvs',
  params: { edits, save, sudo },
  summary: edits.map(editWords).join('; '),
  script: asRoot(sudo, [
    findIpvsadm,
    words('mkdir', '-p', notesFolder),
    ...edits.map(editLines),
    ...(save === null ? [] : [saveLines(save)]),
    readLines([]),
  ]),
  parse: ipvsTableOf,
  timeoutMs: 15_000,
});

/** The edit for people, and for the shell. */
const editWords = ({ service, server, weight }: IpvsEdit): string =>
  words(
    'ipvsadm',
    '-e',
    ...service.split(' '),
    '-r',
    server.address,
    ...server.forwarding,
    '-w',
    String(weight),
    ...server.thresholds,
  );

function editLines(edit: IpvsEdit): string {
  const { service, server, note } = edit;
  const file = `${notesFolder}/${noteName(service, server.address)}`;
  return note === null
    ? [editWords(edit), words('rm', '-f', file)].join('\n')
    : [
        `${words('printf', '%s\\n', `${note.rotation} ${note.weight}`)} > ${words(file)}`,
        editWords(edit),
      ].join('\n');
}

/** It is gone with the table: after a start of the machine. */
const notesFolder = '/run/sluice/ipvs';

function saveLines(file: string): string {
  assert(/^\/[\w./-]+$/.test(file), 'nothing in it means anything to sh');
  const copy = `${file}.sluice`;
  return [
    `trap 'rm -f ${copy}' EXIT`,
    `[ ! -e ${file} ] || cp -p ${file} ${copy}`,
    `ipvsadm -S -n > ${copy}`,
    'sync',
    `mv -f ${copy} ${file}`,
  ].join('\n');
}

/** Where logins that are not root's do not look for it. */
export const findIpvsadm = [
  'PATH=$PATH:/usr/sbin:/sbin',
  'command -v ipvsadm > /dev/null || { echo "ipvsadm is not installed" >&2; exit 69; }',
].join('\n');

export const readLines = (details: readonly Detail[]): string =>
  [
    words('echo', sections.settings),
    // Loads the module: before, there is no setting of the kernel.
    'ipvsadm -S -n',
    words('echo', sections.kernel),
    'vs=/proc/sys/net/ipv4/vs reuse=/proc/sys/net/ipv4/vs/conn_reuse_mode',
    '[ -e $reuse ] || reuse=/dev/null',
    'cat /proc/sys/kernel/random/boot_id $vs/expire_quiescent_template $vs/expire_nodest_conn $reuse',
    ...details.flatMap((detail) => [words('echo', sections[detail]), words(...listing[detail])]),
    words('echo', sections.notes),
    `for note in ${notesFolder}/*; do`,
    '  [ ! -f "$note" ] || { read -r text < "$note" || :; echo "${note##*/} $text"; }',
    'done',
  ].join('\n');

const listing: { readonly [D in Detail]: readonly string[] } = {
  counts: ['ipvsadm', '-L', '-n', '--exact'],
  thresholds: ['ipvsadm', '-L', '-n', '--exact', '--thresholds'],
  totals: ['ipvsadm', '-L', '-n', '--exact', '--stats'],
};

export const asRoot = (sudo: boolean, lines: readonly string[]): string =>
  sudo ? loginCommand(['set -eu', ...lines].join('\n'), 'root') : lines.join('\n');
