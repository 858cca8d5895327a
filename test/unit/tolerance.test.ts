import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from '../../src/reference.ts';
import type { Activation, HostTensor } from '../../src/types.ts';
import { float16Bits, float16Value, floatTensor, integerTensor, tensorOf, withValues } from '../support/tensors.ts';
import { boundsOf, mismatch, type Problem } from '../support/tolerance.ts';

const problem: Problem = {
  input: floatTensor([1, 16, 5, 5], 1),
  weight: floatTensor([16, 3, 3, 3], 2),
  bias: floatTensor([3], 3),
  options: { stride: 2, padding: 1 },
};
const reference = ({ input, weight, bias, options }: Problem): HostTensor => {
  const { shape, data } = convTranspose2dReference(input, weight, bias, options);
  return tensorOf(shape, data);
};
const moved = (tensor: HostTensor, at: number, by: number): HostTensor =>
  tensorOf(
    tensor.shape,
    Float64Array.from(tensor.data, (value, index) => (index === at ? value + by : value)),
  );

describe('float lane', () => {
  test('one rounding of each result is allowed', () => {
    expect(mismatch(reference(problem), problem, { lane: 'float' })).toBeUndefined();
  });

  test('float32 sums in another order are allowed, and use at most half of the bound', () => {
    const { input, weight, bias } = problem;
    const { shape, data } = convTranspose2dReference(input, weight, bias, problem.options);
    const bounds = boundsOf(problem);
    const sums = sumInFloat32(problem, shape);
    const used = Math.max(...sums.map((sum, at) => Math.abs(sum - data[at]!) / bounds[at]!));
    expect(used).toBeGreaterThan(0.001);
    expect(used).toBeLessThan(0.5);
  });

  test('twice the bound is refused, and so are NaN, Inf and another shape', () => {
    const right = reference(problem);
    const [bound] = boundsOf(problem);
    expect(mismatch(moved(right, 0, 2 * bound!), problem, { lane: 'float' })).toContain('output 0');
    expect(mismatch(moved(right, 40, NaN), problem, { lane: 'float' })).toContain('output 40: NaN');
    expect(mismatch(moved(right, 40, Infinity), problem, { lane: 'float' })).toContain('output 40: Infinity');
    expect(mismatch({ ...right, shape: [3, 9, 9] }, problem, { lane: 'float' })).toContain('shape');
  });

  test('an output that no tap reaches has only the rounding of its bias', () => {
    const options = { stride: 3 };
    const one: Problem = { input: tensorOf([1, 1, 1, 2], [1, 1]), weight: tensorOf([1, 1, 1, 1], [1]), options };
    expect([...boundsOf(one)].map((bound) => bound > 1e-8)).toEqual([true, false, false, true]);
  });

  test.each<Activation>(['relu', 'relu6', 'leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'])(
    '%s: float32 arithmetic fits, another function does not',
    (activation) => {
      const f = Math.fround;
      const inFloat32: Record<Activation, (x: number) => number> = {
        none: (x) => x,
        relu: (x) => Math.max(x, 0),
        relu6: (x) => Math.min(Math.max(x, 0), 6),
        'leaky-relu': (x) => (x < 0 ? f(x * f(0.01)) : x),
        sigmoid: (x) => f(1 / f(1 + f(Math.exp(-x)))),
        tanh: (x) => f(Math.tanh(x)),
        gelu: (x) => f(f(0.5 * x) * f(1 + f(Math.tanh(f(f(0.7978846) * f(x + f(f(0.044715) * f(x * f(x * x))))))))),
        silu: (x) => f(x / f(1 + f(Math.exp(-x)))),
      };
      const xs = Float32Array.from({ length: 81 }, (_, at) => (at - 40) / 4);
      const line: Problem = {
        input: tensorOf([1, 1, 1, 81], xs),
        weight: tensorOf([1, 1, 1, 1], [1]),
        options: { activation },
      };
      const shape = [1, 1, 1, 81];
      expect(mismatch(tensorOf(shape, xs.map(inFloat32[activation])), line, { lane: 'float' })).toBeUndefined();
      expect(mismatch(tensorOf(shape, xs), line, { lane: 'float' })).toContain('output');
      const off = xs.map((x) => inFloat32[activation](x) + 1e-3);
      expect(mismatch(tensorOf(shape, off), line, { lane: 'float' })).toContain('output');
    },
  );
});

test('exact lane: every number equal', () => {
  const integers: Problem = { input: integerTensor([1, 2, 3, 3], 1), weight: integerTensor([2, 2, 3, 3], 2) };
  const right = reference(integers);
  expect(mismatch(right, integers, { lane: 'exact' })).toBeUndefined();
  expect(mismatch(moved(right, 7, 2 ** -12), integers, { lane: 'exact' })).toContain('output 7');
});

test('spoiled lane: Inf or NaN where they reach, numbers elsewhere', () => {
  const input = withValues(integerTensor([1, 1, 1, 3], 1), { 0: NaN, 2: Infinity });
  const spoiled: Problem = { input, weight: tensorOf([1, 1, 1, 1], [1]), options: { stride: 2 } };
  const judge = (numbers: number[]): string | undefined =>
    mismatch(tensorOf([1, 1, 1, 5], numbers), spoiled, { lane: 'spoiled' });
  const middle = input.data[1]!;
  expect(judge([NaN, 0, middle, 0, Infinity])).toBeUndefined();
  expect(judge([NaN, NaN, middle, 0, Infinity])).toContain('output 1');
  expect(judge([0, 0, middle, 0, Infinity])).toContain('Inf or NaN reach it');
});

test('float16 outputs: one more rounding, and no more', () => {
  const rounded = tensorOf([1, 3, 9, 9], reference(problem).data, 'float16');
  expect(mismatch(rounded, problem, { lane: 'float', output: 'float16' })).toBeUndefined();
  expect(mismatch(rounded, problem, { lane: 'float' })).toContain('output');
});

test("a source's own tolerance is added to the bound of its numbers", () => {
  const one: Problem = { input: tensorOf([1, 1, 1, 1], [1]), weight: tensorOf([1, 1, 1, 1], [1]) };
  const judge = (source: number, tolerance: Parameters<typeof mismatch>[2]['source']): string | undefined =>
    mismatch(tensorOf([1, 1, 1, 1], [source]), one, { lane: 'float', ...(tolerance && { source: tolerance }) });
  expect(judge(1, { values: [1.001], tolerance: { atol: 0.01 } })).toBeUndefined();
  expect(judge(1, { values: [1.001], tolerance: null })).toContain('instead of 1.001');
  expect(judge(1, { values: [1 + 2 ** -8], tolerance: { ulp: 4, of: 'float16' } })).toBeUndefined();
  expect(judge(1, { values: [1 + 2 ** -7], tolerance: { ulp: 4, of: 'float16' } })).toContain('instead of');
});

test('float16 bit patterns there and back', () => {
  for (let bits = 0; bits <= 0x7c00; bits++) {
    expect(float16Bits(float16Value(bits))).toBe(bits);
    expect(float16Bits(-float16Value(bits))).toBe(bits | 0x8000);
  }
  expect(float16Bits(1 + 2 ** -11)).toBe(0x3c00);
  expect(float16Bits(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(float16Bits(65520)).toBe(0x7c00);
});

/** The layer in plain float32, products and sums rounded one by one, last tap first. */
function sumInFloat32({ input, weight, bias }: Problem, shape: readonly number[]): number[] {
  const [, channels, height, width] = input.shape as [number, number, number, number];
  const [, outs, kernelH, kernelW] = weight.shape as [number, number, number, number];
  const [, , outH, outW] = shape as [number, number, number, number];
  const sums: number[] = [];
  for (let o = 0; o < outs; o++) {
    for (let y = 0; y < outH; y++) {
      for (let x = 0; x < outW; x++) {
        let sum = bias!.data[o]!;
        for (let c = channels - 1; c >= 0; c--) {
          for (let ky = kernelH - 1; ky >= 0; ky--) {
            for (let kx = kernelW - 1; kx >= 0; kx--) {
              const [iy, ix] = [(y + 1 - ky) / 2, (x + 1 - kx) / 2];
              if (!Number.isInteger(iy) || !Number.isInteger(ix) || iy < 0 || ix < 0 || iy >= height || ix >= width)
                continue;
              const product = Math.fround(
                input.data[(c * height + iy) * width + ix]! *
                  weight.data[((c * outs + o) * kernelH + ky) * kernelW + kx]!,
              );
              sum = Math.fround(sum + product);
            }
          }
        }
        sums.push(sum);
      }
    }
  }
  return sums;
}
