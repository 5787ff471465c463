import { asTypeScript, entry, object } from './commented.ts';

/** A commented config of a fleet that works once its seed and its group are named. */
export const initFleetConfig = (name: string): string =>
  `import { defineFleet } from 'sluice';\n\nexport default defineFleet({\n${asTypeScript(entriesOf(name), 1)}\n});\n`;

const entriesOf = (name: string) => [
  entry('name', name),
  entry(
    'source',
    object(
      entry(
        'seed',
        object(
          entry('instance', 'i-0abc1234def567890'),
          entry('checks', [object(entry('path', '/'))], 'An image is taken only of a seed that answers.'),
        ),
        'The machine that you change and try: sluice seed build production takes an image of it.',
      ),
    ),
  ),
  entry(
    'fleet',
    object(
      entry('kind', 'aws-auto-scaling'),
      entry('group', `${name}-web`, 'It has a launch template, and target groups of a load balancer.'),
      entry('region', 'eu-west-1'),
      entry('servingMin', '100%', 'Never fewer machines serve: a count, or a part of the capacity.'),
      entry('surge', '50%', 'New ones at a time, beyond the capacity.'),
    ),
    'For Elastic Beanstalk: kind aws-beanstalk, with application and environment.',
  ),
  entry(
    'checks',
    [object(entry('path', '/'), entry('host', 'www.example.org', 'The name that visitors use.'))],
    'Asked of each new machine, at its private address; it takes traffic only when all answers are right.',
  ),
  entry('stages', object(entry('production', object())), 'A stage may change any setting above.'),
];
