import { assert } from '../core/assert.ts';
import { calendarOf } from '../core/calendar.ts';
import type { CronJob } from '../core/site.ts';
import {
  asRoot,
  type CronKeeper,
  jobCommand,
  linesFor,
  ownName,
  type Place,
  userMark,
  writeAtomically,
} from './cron-keeper.ts';
import { quote, userCommand } from './shell.ts';

interface Manager {
  /** As the shell reads it. */
  readonly folder: string;
  /** Defines what the scripts need. */
  readonly prelude: string;
  /** What stands before a command that changes files there. */
  readonly run: string;
  readonly systemctl: string;
  /** Lines of a service. */
  readonly service: readonly string[];
}

/** A timer and a service a job. What is taken off lets the service of a job under way end. */
const keeper = (manager: Manager): CronKeeper => {
  const { folder, prelude, run, systemctl, service } = manager;
  const units = (deployTo: string): string => `${folder}/${ownName(deployTo)}.[0-9]*`;
  return {
    block: (place, user) =>
      unitsOf(place, service).flatMap(({ name, lines }) => [
        ...lines.map((line) => `${name}: ${line.replace(userMark, user)}`),
        ...(name.endsWith('.timer') ? [`${name} is enabled`] : []),
      ]),
    put(place) {
      const all = unitsOf(place, service);
      const timers = all.map(({ name }) => name).filter((name) => name.endsWith('.timer'));
      return [
        this.take(place.deployTo),
        prelude,
        `${run} mkdir -p ${folder}`,
        ...all.map(({ name, lines }) => writeAtomically(folder, name, linesFor(lines), run)),
        `${systemctl} daemon-reload`,
        ...(timers.length === 0 ? [] : [`${systemctl} enable --now ${timers.join(' ')}`]),
      ].join('\n');
    },
    take: (deployTo) =>
      [
        'found=',
        `for unit in ${units(deployTo)}; do [ ! -e "$unit" ] || found=1; done`,
        'if [ -n "$found" ]; then',
        prelude,
        `for unit in ${units(deployTo)}.timer; do [ ! -e "$unit" ] || ${systemctl} disable --now "\${unit##*/}"; done`,
        `${run} rm -f ${units(deployTo)}.timer ${units(deployTo)}.service`,
        `${systemctl} daemon-reload`,
        // A job that failed would be shown for ever; one that is not known any more cannot be reset.
        `${systemctl} reset-failed ${quote(`${ownName(deployTo)}.*`)} 2>/dev/null || :`,
        'fi',
      ].join('\n'),
    look: (deployTo) =>
      [
        `for unit in ${units(deployTo)}; do`,
        '  [ -f "$unit" ] || continue',
        `  while IFS= read -r line || [ -n "$line" ]; do printf '= cron %s: %s\\n' "\${unit##*/}" "$line"; done < "$unit"`,
        `  [ ! -L ${folder}/timers.target.wants/"\${unit##*/}" ] || printf '= cron %s is enabled\\n' "\${unit##*/}"`,
        'done',
      ].join('\n'),
    isUsable: 'command -v systemctl',
  };
};

export const systemd = keeper({
  folder: '/etc/systemd/system',
  prelude: asRoot,
  run: 'as_root',
  systemctl: 'as_root systemctl',
  service: [`User=${userMark}`],
});

/** Of the user that commands run as, who needs `loginctl enable-linger` to have them while nobody is logged in. */
export const systemdUser = keeper({
  folder: '"${XDG_CONFIG_HOME:-$HOME/.config}"/systemd/user',
  prelude: 'export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"',
  run: '',
  systemctl: 'systemctl --user',
  service: [],
});

interface Unit {
  readonly name: string;
  readonly lines: readonly string[];
}

/** No name of one `deployTo` begins as another's: a dot stands in none but before the number. */
const unitsOf = ({ deployTo, cron }: Place, service: readonly string[]): readonly Unit[] =>
  (cron?.jobs ?? []).flatMap((job, index) => {
    const name = `${ownName(deployTo)}.${index + 1}`;
    const unit = ['[Unit]', `Description=${literal(`sluice ${deployTo}: ${userCommand(job.run)}`)}`];
    return [
      {
        name: `${name}.service`,
        lines: [
          ...unit,
          '[Service]',
          'Type=oneshot',
          ...service,
          `ExecStart=/bin/${jobCommand(deployTo, index).map(argument).join(' ')}`,
        ],
      },
      {
        name: `${name}.timer`,
        lines: [...unit, '[Timer]', ...timesOf(job), 'AccuracySec=1s', '[Install]', 'WantedBy=timers.target'],
      },
    ];
  });

function timesOf({ schedule }: CronJob): readonly string[] {
  const times = calendarOf(schedule);
  assert(times, `settings and files with a schedule that timers lack are refused, and ${schedule} is one`);
  return times.map((time) => `OnCalendar=${time}`);
}

/** systemd.unit(5): a percent sign begins a specifier. The user's name is not put into it. */
const literal = (text: string): string => text.replaceAll('%', '%%').replaceAll(userMark, '');

/** systemd.service(5), "Command lines". */
const argument = (text: string): string =>
  /^[\w./-]+$/.test(text)
    ? text
    : `"${literal(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$')}"`;
