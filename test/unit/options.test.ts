// The door: what options mean once they are through, and that they are frozen.
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, outputShape } from '../../src/index.ts';
import { weightShape } from '../../src/layouts.ts';
import { resolveOptions, splitCall, weightExtents } from '../../src/options.ts';

describe('the spec', () => {
  test('is complete, frozen, and knows nothing of the objects it was made from', () => {
    const stride = [2, 3] as [number, number];
    const { spec, device, seed } = resolveOptions(4, 6, 3, Object.freeze({ stride, groups: 2, device: 'cpu' }));
    stride[0] = 9;
    expect(Object.isFrozen(spec)).toBe(true);
    expect(spec).toEqual({
      inChannels: 4,
      outChannels: 6,
      kernelSize: [3, 3],
      stride: [2, 3],
      padding: [0, 0, 0, 0],
      outputPadding: [0, 0],
      outputSize: undefined,
      groups: 2,
      dilation: [1, 1],
      layout: 'NCHW',
      weightLayout: 'IOHW',
      activation: 'none',
      negativeSlope: 0.01,
      bias: true,
      dtype: 'float32',
    });
    expect([device, seed]).toEqual(['cpu', undefined]);
  });

  test.each([
    [2, [2, 2, 2, 2]],
    [
      [1, 2],
      [1, 2, 1, 2],
    ],
    [
      [1, -2, 3, -4],
      [1, -2, 3, -4],
    ],
  ])('padding %j', (padding, sides) => {
    expect(resolveOptions(1, 1, 9, { padding }).spec.padding).toEqual(sides);
  });

  test.each([
    ['IOHW', [4, 3, 5, 7]],
    ['HWOI', [5, 7, 3, 4]],
    ['OHWI', [3, 5, 7, 4]],
  ])('%s: a weight’s shape and back', (weightLayout, shape) => {
    expect(weightShape(resolveOptions(4, 6, [5, 7], { groups: 2, weightLayout }).spec)).toEqual(shape);
    expect(weightExtents(shape, weightLayout, 2)).toEqual({ inChannels: 4, outChannels: 6, kernelSize: [5, 7] });
  });

  test('inherited options count, for a function as for a layer', () => {
    const options = Object.create({ stride: 2, weightLayout: 'OHWI' }) as object;
    expect(new ConvTranspose2d(1, 1, 3, options).outputShape([1, 4, 4])).toEqual([1, 9, 9]);
    expect(outputShape([1, 4, 4], [1, 3, 3, 1], options)).toEqual([1, 9, 9]);
  });

  test('a function’s options hold the words of its call', () => {
    const { signal } = new AbortController();
    const output = { shape: [1], data: new Float32Array(1) };
    const { layer, call } = splitCall({ stride: 2, outputSize: 5, signal, output });
    expect([layer, call]).toEqual([
      { stride: 2, outputSize: 5 },
      { signal, output },
    ]);
    expect(() => splitCall({ seed: 1 })).toThrow(/^option 'seed'/);
  });
});

describe('output sizes', () => {
  const size = (options: object, height = 5): number => outputShape([1, 1, height, 1], [1, 1, 4, 1], options)[2]!;

  // (5 − 1)·stride − 2·padding + dilation·(4 − 1) + outputPadding + 1
  test.each([
    [{}, 8],
    [{ stride: 3 }, 16],
    [{ stride: 3, padding: [2, 0] }, 12],
    [{ stride: 3, padding: [2, 0], outputPadding: [2, 0] }, 14],
    [{ dilation: 3, outputPadding: [2, 0] }, 16],
    [{ padding: [-1, 0, -2, 0] }, 11],
    [{ stride: [3, 1], outputSize: [18, 1] }, 18],
    [{ stride: [3, 1], outputSize: [16, 1], outputPadding: 0 }, 16],
  ])('%j: %i', (options, expected) => {
    expect(size(options)).toBe(expected);
  });

  test('a call’s outputSize wins, and outputPadding is then ignored', () => {
    const layer = new ConvTranspose2d(1, 1, 4, { device: 'cpu', stride: 3, outputPadding: 2 });
    expect(layer.outputShape([1, 5, 5])).toEqual([1, 18, 18]);
    expect(layer.outputShape([1, 5, 5], { outputSize: 17 })).toEqual([1, 17, 17]);
    const fixed = new ConvTranspose2d(1, 1, 4, { device: 'cpu', stride: 3, outputSize: 18 });
    expect(fixed.outputShape([1, 5, 5], { outputSize: [16, 17] })).toEqual([1, 16, 17]);
  });

  test('layouts and ranks', () => {
    const shape = (inputShape: number[], layout: 'NCHW' | 'NHWC'): number[] =>
      outputShape(inputShape, [3, 2, 2, 3], { layout, stride: 2 });
    expect(shape([7, 3, 4, 5], 'NCHW')).toEqual([7, 2, 8, 11]);
    expect(shape([3, 4, 5], 'NCHW')).toEqual([2, 8, 11]);
    expect(shape([0, 4, 5, 3], 'NHWC')).toEqual([0, 8, 11, 2]);
    expect(shape([4, 5, 3], 'NHWC')).toEqual([8, 11, 2]);
  });
});

describe('what was once accepted does not let a look-alike through', () => {
  const layer = new ConvTranspose2d(1, 1, 4, { device: 'cpu', stride: 3 });

  test('shapes and sizes of strings', () => {
    layer.plan([1, 1, 5, 5]);
    layer.plan([1, 1, 5, 5], { outputSize: 17 });
    expect(() => layer.plan([1, 1, '5', 5] as never)).toThrow(/^input shape/);
    expect(() => layer.plan('1,1,5,5' as never)).toThrow(/^input shape/);
    expect(() => layer.plan([1, 1, 5, 5], { outputSize: '17' as never })).toThrow(/^outputSize/);
    for (const shape of [undefined, null, 4, { length: 4 }, Float32Array.of(1, 1, 5, 5)]) {
      layer.plan([1, 1, 5, 5]);
      expect(() => layer.plan(shape as never)).toThrow(/^input shape/);
    }
  });
});
