import { count } from '../core/errors.ts';
import type { Decision, Trouble } from '../engine/deploy.ts';
import type { Reporter } from '../reporters/reporter.ts';
import { stepText } from '../reporters/step-text.ts';
import { indent } from '../reporters/table.ts';
import { asking, isInteractive } from './ask.ts';
import { type Call, isCi, paintOf } from './call.ts';

/** A person is there, and did not say beforehand what is to be done. */
export const mayAsk = ({ environment, flags }: Call): boolean =>
  isInteractive(environment) &&
  !isCi(environment) &&
  !flags.yes &&
  !flags.json &&
  flags.onFailure === undefined;

/** Shows what failed, and asks until there is an answer; without one (the end of input, Ctrl-C) the run stops. */
export async function askWhatToDo(
  call: Call,
  { reporter, trouble }: { readonly reporter: Reporter; readonly trouble: Trouble },
): Promise<Decision> {
  const { environment } = call;
  const paint = paintOf(environment, environment.stderr);
  const fit = choices.filter(({ decision }) => decision !== 'leave out' || trouble.mayLeaveOut);
  reporter.clear();
  environment.stderr.write(
    [
      '',
      paint.bad(`${whatFailed(trouble)} in ${stepText(trouble.step)}:`),
      ...trouble.failures.flatMap(({ error: { message, hint } }) => [
        indent(message, 2),
        ...(hint === null ? [] : [indent(`${paint.strong('hint:')} ${hint}`, 2)]),
      ]),
      ...fit.map(({ key, means }) => `  ${paint.strong(key)}  ${means}`),
      '',
    ].join('\n'),
  );
  return asking(environment, async (ask) => {
    for (;;) {
      const answer = await ask(`What now? [${fit.map(({ key }) => key).join('/')}] `);
      if (answer === null) return 'stop';
      const choice = fit.find(({ key }) => key === answer.trim().toLowerCase());
      if (choice) return choice.decision;
    }
  });
}

const whatFailed = ({ failures }: Trouble): string => {
  const nodes = failures.filter(({ node }) => node !== null).length;
  return nodes === 0 ? 'It failed' : `${count(nodes, 'node')} failed`;
};

const choices: readonly {
  readonly key: string;
  readonly decision: Decision;
  readonly means: string;
}[] = [
  { key: 'r', decision: 'retry', means: 'retry: the same step once more, where it failed' },
  {
    key: 'l',
    decision: 'leave out',
    means: 'leave out: go on without what failed, which goes back to what it had',
  },
  { key: 'b', decision: 'rollback', means: 'roll back: every node goes back to the release that it had' },
  { key: 'h', decision: 'hold', means: 'hold: stop here, until sluice promote or sluice abort' },
  { key: 's', decision: 'halt', means: 'stop: change nothing more, and give the lock back' },
];
