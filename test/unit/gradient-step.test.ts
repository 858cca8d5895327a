// examples/gradient-step.ts, which docs/training.md opens with, in Node, on the CPU.
import { expect, test } from 'vitest';
import { step } from '../../examples/gradient-step.ts';
import type { HostTensor } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { integerTensor } from '../support/tensors.ts';

const input = integerTensor([2, 2, 3, 4], 1);
const weight = integerTensor([2, 3, 4, 4], 2);
const target = integerTensor([2, 3, 6, 8], 3);

/** The squared error by the reference. */
function error(data: ArrayLike<number>): number {
  const { data: output } = convTranspose2dReference(input, { shape: weight.shape, data }, null, {
    stride: 2,
    padding: 1,
  });
  return output.reduce((sum, value, i) => sum + (value - Number(target.data[i])) ** 2 / 2, 0);
}

test('a step is the rate times what the error changes by with each weight', async () => {
  const rate = 2 ** -10;
  const stepped: HostTensor = await step(input, weight, target, rate);
  expect(stepped.shape).toEqual(weight.shape);
  const from = Array.from(weight.data);
  const errorAt = (i: number, change: number): number => error(from.map((value, j) => value + (i === j ? change : 0)));
  // Of a square, the difference over 2 is the slope itself, and all numbers are integers.
  const slopes = from.map((_, i) => (errorAt(i, 1) - errorAt(i, -1)) / 2);
  expect(Array.from(stepped.data)).toEqual(from.map((value, i) => value - rate * slopes[i]!));
});
