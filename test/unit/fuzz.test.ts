// Hostile calls on the CPU, in Node; test/soak has more of them, on a GPU too.
import { expect, test } from 'vitest';
import { count } from '../support/figures.ts';
import { fuzz } from '../support/fuzz.ts';

const RUNS = 2000;

test(`${RUNS} hostile calls on the CPU: a result or an error of ours, soon, and within the budget`, async (context) => {
  const verdicts = await fuzz(RUNS, ['cpu', 'cpu'], () => 0);
  console.log(verdicts);
  for (const verdict of ['made', 'planned', 'INVALID_ARGUMENT', 'UNSUPPORTED'])
    expect(verdicts[verdict]).toBeGreaterThan(20);
  count(context, 'cases fuzzed', RUNS);
});
