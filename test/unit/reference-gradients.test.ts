import fc from 'fast-check';
import { expect, test } from 'vitest';
import { convTranspose2dBackwardReference, convTranspose2dReference } from '../../src/reference.ts';
import { describeLayer, layers } from '../support/arbitraries.ts';
import { correlateGradients } from '../support/correlate-reference.ts';
import { floatTensor, integerTensor, lengthOf } from '../support/tensors.ts';

const names = ['gradInput', 'gradWeight', 'gradBias'] as const;
const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, at) => sum + value * b[at]!, 0);

test("the two references' gradients agree exactly on random integer layers", () => {
  let numbers = 0;
  fc.assert(
    fc.property(layers({ activations: 'none' }), (layer) => {
      const { input, weight, options } = layer;
      const { shape } = convTranspose2dReference(input, weight, null, options);
      const gradOutput = integerTensor(shape, 5);
      const scattered = convTranspose2dBackwardReference(gradOutput, input, weight, options);
      const correlated = correlateGradients(gradOutput, input, weight, options);
      for (const name of names) {
        const wrong = scattered[name].data.findIndex((value, at) => value - correlated[name][at]! !== 0);
        expect(wrong, `${name} of ${describeLayer(layer)}`).toBe(-1);
        numbers += scattered[name].data.length;
      }
    }),
    { numRuns: 500 },
  );
  expect(numbers).toBeGreaterThan(50_000);
});

test('adjoint: ⟨A x, y⟩ = ⟨x, A′ y⟩, in the input and in the weight', () => {
  fc.assert(
    fc.property(layers({ activations: 'none' }), (layer) => {
      const { input, weight, options } = layer;
      const output = convTranspose2dReference(input, weight, null, options);
      const y = integerTensor(output.shape, 6);
      const { gradInput, gradWeight } = convTranspose2dBackwardReference(y, input, weight, options);
      const product = inner(output.data, y.data);
      expect(inner(input.data, gradInput.data), describeLayer(layer)).toBe(product);
      expect(inner(weight.data, gradWeight.data), describeLayer(layer)).toBe(product);
    }),
    { numRuns: 300 },
  );
});

test.each(['none', 'relu'] as const)('finite differences in float64, activation %s', (activation) => {
  const options = {
    stride: [2, 3],
    dilation: [3, 2],
    padding: [1, -1, 2, 1],
    groups: 2,
    layout: 'NHWC',
    weightLayout: 'OHWI',
    activation,
  } as const;
  const tensors = {
    gradInput: floatTensor([2, 3, 4, 4], 1),
    gradWeight: floatTensor([3, 3, 2, 4], 2),
    gradBias: floatTensor([6], 3),
  };
  const numbers = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
  ) as Record<(typeof names)[number], { shape: readonly number[]; data: Float64Array }>;
  const forward = (): { shape: number[]; data: Float64Array } =>
    convTranspose2dReference(numbers.gradInput, numbers.gradWeight, numbers.gradBias, options);
  const forwardOutput = forward();
  const gradOutput = floatTensor(forwardOutput.shape, 4);
  const gradients = convTranspose2dBackwardReference(gradOutput, numbers.gradInput, numbers.gradWeight, {
    ...options,
    forwardOutput,
  });
  // Nothing crosses relu's corner within a step this small; what float64 loses in the difference is below 1e-8.
  const step = 2 ** -20;
  expect(Math.min(...forwardOutput.data.map((value) => (value === 0 ? 1 : Math.abs(value))))).toBeGreaterThan(4 * step);
  for (const name of names) {
    const { data } = numbers[name];
    expect(gradients[name].data.length).toBe(lengthOf(numbers[name].shape));
    for (let at = 0; at < data.length; at += name === 'gradBias' ? 1 : 7) {
      const value = data[at]!;
      const [above, below] = [step, -step].map((by) => {
        data[at] = value + by;
        return inner(forward().data, gradOutput.data);
      }) as [number, number];
      data[at] = value;
      expect(Math.abs((above - below) / (2 * step) - gradients[name].data[at]!)).toBeLessThan(1e-7);
    }
  }
});

test('refuses what does not fit together', () => {
  const one = integerTensor([1, 1, 2, 2], 1);
  expect(() => convTranspose2dBackwardReference(one, one, one, { activation: 'relu' })).toThrow('forwardOutput');
  expect(() => convTranspose2dBackwardReference(one, one, one, { activation: 'tanh' })).toThrow("'tanh'");
});
