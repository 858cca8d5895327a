// Ten thousand hostile calls in one tab, on the CPU and on a GPU of WebGPU's default limits.
import { expect, test } from 'vitest';
import { Count } from '../support/count.ts';
import { count } from '../support/figures.ts';
import { fuzz } from '../support/fuzz.ts';
import { testDevice } from '../support/gpu.ts';

const RUNS = 10_000;

test(`${RUNS} hostile calls: the tab lives, and each gives a result or an error of ours, soon, within the budget`, async (context) => {
  const device = await testDevice();
  const counted = new Count(device);
  const verdicts = await fuzz(RUNS, ['cpu', device], () => counted.allocated);
  console.log(verdicts);
  for (const verdict of ['made', 'planned', 'INVALID_ARGUMENT', 'UNSUPPORTED']) {
    expect(verdicts[verdict]).toBeGreaterThan(100);
  }
  expect([counted.live.size, counted.bytes]).toEqual([0, 0]);
  count(context, 'cases fuzzed', RUNS);
});
