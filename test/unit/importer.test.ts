// examples/importer.ts, on tensors whose every product can be counted: TensorFlow's SAME crops the last row and column here.
import { expect, test } from 'vitest';
import { enlarge } from '../../examples/importer.ts';

test("it gives TensorFlow's shape, and each output the taps that reach it", async () => {
  const ones = (shape: readonly number[]): { shape: readonly number[]; data: Float32Array } => ({
    shape,
    data: new Float32Array(shape.reduce((product, extent) => product * extent)).fill(1),
  });
  const { shape, data } = await enlarge(ones([1, 3, 3, 8]), ones([3, 3, 16, 8]));
  expect(shape).toEqual([1, 6, 6, 16]);
  // Even rows meet taps 0 and 2, but for the first; odd ones tap 1.
  const taps = [1, 1, 2, 1, 2, 1];
  const expected = taps.flatMap((row) => taps.flatMap((column) => new Array<number>(16).fill(8 * row * column)));
  expect(data).toEqual(Float32Array.from(expected));
});
