import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from '../../src/reference.ts';
import { describeLayer, layers } from '../support/arbitraries.ts';
import { correlateReference } from '../support/correlate-reference.ts';
import { tensorOf } from '../support/tensors.ts';

const image = { shape: [1, 1, 2, 2], data: Float32Array.of(1, 2, 3, 4) };
const kernel = { shape: [1, 1, 2, 2], data: Float32Array.of(10, 20, 30, 40) };

test('adds every pixel times the kernel into the full result', () => {
  const { shape, data } = convTranspose2dReference(image, kernel);
  expect(shape).toEqual([1, 1, 3, 3]);
  expect([...data]).toEqual([10, 40, 40, 60, 200, 160, 90, 240, 160]);
});

test('the two references agree exactly on random integer layers', () => {
  let outputs = 0;
  fc.assert(
    fc.property(layers({ activations: 'none' }), (layer) => {
      const { input, weight, bias, options } = layer;
      const scattered = convTranspose2dReference(input, weight, bias, options);
      const correlated = correlateReference(input, weight, bias, options);
      expect(scattered.shape, describeLayer(layer)).toEqual(correlated.shape);
      expect(scattered.data.map((value, at) => value - correlated.data[at]!).findIndex((rest) => rest !== 0)).toBe(-1);
      outputs += scattered.data.length;
    }),
    { numRuns: 1000 },
  );
  expect(outputs).toBeGreaterThan(100_000);
});

describe('crop', () => {
  test('padding crops, output padding uncovers', () => {
    const crop = convTranspose2dReference(image, kernel, null, { padding: 1 });
    expect([...crop.data]).toEqual([200]);
    const uncovered = convTranspose2dReference(image, kernel, null, {
      padding: [0, 0, 1, 1],
      stride: 2,
      outputPadding: 1,
    });
    expect([...uncovered.data]).toEqual([10, 20, 20, 40, 30, 40, 60, 80, 30, 60, 40, 80, 90, 120, 120, 160]);
  });

  test('beyond the full result there is the bias alone', () => {
    const bias = { shape: [1], data: Float32Array.of(7) };
    const { shape, data } = convTranspose2dReference(image, kernel, bias, { padding: [-1, 0, 0, -1] });
    expect(shape).toEqual([1, 1, 4, 4]);
    expect([...data]).toEqual([7, 7, 7, 7, 17, 47, 47, 7, 67, 207, 167, 7, 97, 247, 167, 7]);
  });

  test('outputSize wins over outputPadding', () => {
    expect(convTranspose2dReference(image, kernel, null, { outputSize: [4, 3], outputPadding: 9 }).shape).toEqual([
      1, 1, 4, 3,
    ]);
  });
});

test('layouts reorder the same numbers', () => {
  const input = { shape: [2, 2, 3], data: Float32Array.from({ length: 12 }, (_, at) => at) };
  const channelsLast = { shape: [2, 3, 2], data: Float32Array.of(0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11) };
  const weight = { shape: [2, 1, 1, 2], data: Float32Array.of(1, 2, 3, 4) };
  const planes = convTranspose2dReference(input, weight);
  expect(planes.shape).toEqual([1, 2, 4]);
  const pixels = convTranspose2dReference(
    channelsLast,
    { shape: [1, 2, 1, 2], data: Float32Array.of(1, 3, 2, 4) },
    null,
    {
      layout: 'NHWC',
      weightLayout: 'HWOI',
    },
  );
  expect(pixels.shape).toEqual([2, 4, 1]);
  expect([...pixels.data]).toEqual([...planes.data]);
});

test('activations', () => {
  const one = { shape: [1, 1, 1, 1], data: [1] };
  const x = { shape: [1, 1, 1, 5], data: [-2, -0.5, 0, 0.5, 8] };
  const apply = (
    activation: 'relu' | 'relu6' | 'leaky-relu' | 'sigmoid' | 'tanh' | 'gelu' | 'silu',
    negativeSlope?: number,
  ): number[] =>
    [...convTranspose2dReference(x, one, null, { activation, negativeSlope }).data].map((y) => Number(y.toFixed(6)));
  // Last digits from torch.nn.functional, gelu with approximate='tanh'.
  expect(apply('relu')).toEqual([0, 0, 0, 0.5, 8]);
  expect(apply('relu6')).toEqual([0, 0, 0, 0.5, 6]);
  expect(apply('leaky-relu')).toEqual([-0.02, -0.005, 0, 0.5, 8]);
  expect(apply('leaky-relu', 0.5)).toEqual([-1, -0.25, 0, 0.5, 8]);
  expect(apply('sigmoid')).toEqual([0.119203, 0.377541, 0.5, 0.622459, 0.999665]);
  expect(apply('tanh')).toEqual([-0.964028, -0.462117, 0, 0.462117, 1]);
  expect(apply('gelu')).toEqual([-0.045402, -0.154286, 0, 0.345714, 8]);
  expect(apply('silu')).toEqual([-0.238406, -0.18877, 0, 0.31123, 7.997317]);
});

test('reads float16 bit patterns', () => {
  const bits = { shape: [1, 1, 1, 4], data: Uint16Array.of(0x3c00, 0xc100, 0x0001, 0x7bff), dtype: 'float16' };
  const one = tensorOf([1, 1, 1, 1], [1], 'float16');
  expect([...convTranspose2dReference(bits, one).data]).toEqual([1, -2.5, 2 ** -24, 65504]);
  expect(() => convTranspose2dReference({ ...bits, dtype: undefined }, one)).toThrow("dtype 'float16'");
});

test('Inf and NaN spoil what they reach, and nothing else', () => {
  const spoiled = { shape: [1, 1, 1, 3], data: Float32Array.of(NaN, 1, Infinity) };
  const weight = { shape: [1, 1, 1, 2], data: Float32Array.of(1, 1) };
  const { data } = convTranspose2dReference(spoiled, weight, null, { stride: 3 });
  expect([...data]).toEqual([NaN, NaN, 0, 1, 1, 0, Infinity, Infinity]);
});

test('refuses what does not fit together', () => {
  expect(() => convTranspose2dReference({ shape: [2, 2], data: [1, 2, 3, 4] }, kernel)).toThrow('rank 2');
  expect(() => convTranspose2dReference({ shape: [1, 1, 2, 2], data: [1] }, kernel)).toThrow('needs 4 numbers');
  expect(() => convTranspose2dReference({ shape: [1, 2, 1, 1], data: [1, 2] }, kernel)).toThrow('1 input channels');
  expect(() => convTranspose2dReference(image, kernel, { shape: [2], data: [1, 2] })).toThrow('bias has 2');
  expect(() => convTranspose2dReference(image, kernel, null, { groups: 2 })).toThrow('groups 2');
  expect(() => convTranspose2dReference(image, kernel, null, { padding: 2 })).toThrow('output would be');
  const wrong = { stride: [1.5, 0], dilation: [0, NaN], padding: [-1, 0.5, [0, 0, 0, 0.5]], outputPadding: [-1, 0.5] };
  const more = { outputSize: [0, 2.5], groups: [0, 0.5], layout: ['nchw'], weightLayout: ['OIHW'] };
  for (const [name, values] of Object.entries({ ...wrong, ...more })) {
    for (const value of values) {
      const said = name === 'weightLayout' ? 'no weight layout' : name === 'layout' ? 'no layout' : `${name} is [`;
      expect(() => convTranspose2dReference(image, kernel, null, { [name]: value })).toThrow(said);
    }
  }
});
