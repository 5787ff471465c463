import type { EventBody } from '../../src/core/event.ts';
import type { CliResult } from './cli.ts';

/** What a run with `--json` printed. */
export const eventsOf = ({ stdout }: Pick<CliResult, 'stdout'>): readonly EventBody[] =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{"'))
    .map((line) => JSON.parse(line) as EventBody);

export type EventOf<T extends EventBody['type']> = Extract<EventBody, { type: T }>;

export const eventsOfType = <T extends EventBody['type']>(
  result: Pick<CliResult, 'stdout'>,
  type: T,
): readonly EventOf<T>[] => eventsOf(result).filter((event): event is EventOf<T> => event.type === type);

/** The nodes of each step of a kind, in order: how a run went. */
export const nodesOfSteps = (
  result: Pick<CliResult, 'stdout'>,
  kind: string,
): readonly (readonly string[])[] =>
  eventsOfType(result, 'step-started')
    .filter(({ step }) => step.kind === kind)
    .map(({ step }) => step.nodes);
