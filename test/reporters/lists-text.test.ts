import { expect, test } from 'vitest';
import { checkText } from '../../src/reporters/check-text.ts';
import { listsText } from '../../src/reporters/lists-text.ts';
import { paintWith } from '../../src/reporters/paint.ts';
import { statusText } from '../../src/reporters/status-text.ts';
import { fleet } from '../core/fleet.ts';

const lists = [
  { shown: 'the Auto Scaling group shop-web', nodes: 3 },
  { shown: 'the command ./list', nodes: 1 },
];
const sentence = 'Nodes come from the Auto Scaling group shop-web (3 nodes) and the command ./list (1 node).';
const paint = paintWith(false);

test('where nodes come from is said with how many, and nothing where the config names them all', () => {
  expect(listsText(lists)).toBe(sentence);
  expect(listsText([])).toBe('');
});

test('check and status say so', () => {
  expect(checkText({ wanted: 'production', nodes: 4, balancers: 1, warnings: [], lists }, paint)).toBe(
    `${sentence}\nReady: production can be deployed to (4 nodes, 1 balancer read).\n`,
  );
  const view = { wanted: 'production', servingMin: 1, observed: fleet(4), paint };
  expect(statusText({ ...view, lists })).toContain(`${sentence}\n\n`);
  expect(statusText(view)).not.toContain('come from');
});
