// The gradients on both devices, against the reference's.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import gradientCases from '../conformance/cases/gradients.json' with { type: 'json' };
import { fromTensorFlow } from '../../src/frameworks/index.ts';
import { convTranspose2d, convTranspose2dBackward, type ConvTranspose2dOptions, type Device } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { describeLayer, layers } from '../support/arbitraries.ts';
import { correlateReference } from '../support/correlate-reference.ts';
import { testDevice } from '../support/gpu.ts';
import { floatTensor, integerTensor, lengthOf, tensorOf, valuesOf } from '../support/tensors.ts';
import { gradientMismatch } from '../support/tolerance.ts';

const devices = [
  { name: 'cpu', device: (): Promise<Device> => Promise.resolve('cpu') },
  { name: 'webgpu', device: (): Promise<Device> => testDevice() },
];

describe.each(devices)('$name', ({ name, device }) => {
  test('exact on random integer layers', async () => {
    const where = await device();
    let numbers = 0;
    await fc.assert(
      fc.asyncProperty(layers({ most: 3, activations: 'none' }), fc.boolean(), async (layer, relu) => {
        const { input, weight, bias } = layer;
        const options: ConvTranspose2dOptions = { ...layer.options, activation: relu ? 'relu' : 'none' };
        const { shape, data } = convTranspose2dReference(input, weight, bias, options);
        const gradOutput = integerTensor(shape, 5, 3);
        const known = { ...options, ...(relu ? { forwardOutput: tensorOf(shape, data) } : {}) };
        const gradients = await convTranspose2dBackward(gradOutput, input, weight, { ...known, device: where });
        const problem = { gradOutput, input, weight, options: known };
        expect(gradientMismatch(gradients, problem, { lane: 'exact' }), describeLayer({ ...layer, options })).toBe(
          undefined,
        );
        numbers += lengthOf(input.shape) + lengthOf(weight.shape);
      }),
      { numRuns: name === 'cpu' ? 150 : 60 },
    );
    expect(numbers).toBeGreaterThan(2_000);
  });

  test.each([
    ['stride 2', [2, 16, 9, 11], [16, 12, 4, 4], { stride: 2, padding: 1 }],
    ['kernel below stride', [1, 5, 8, 8], [5, 3, 2, 2], { stride: 3, outputPadding: 1 }],
    ['groups and dilation', [3, 12, 7, 6], [12, 5, 3, 3], { stride: [2, 3], dilation: [3, 2], groups: 3, padding: 2 }],
    ['one pixel, many channels', [2, 100, 1, 1], [100, 24, 4, 4], {}],
    ['channels last', [2, 10, 12, 9], [3, 3, 7, 9], { layout: 'NHWC', weightLayout: 'HWOI', stride: 2 }],
    ['a larger image', [1, 8, 48, 48], [8, 3, 5, 5], { stride: 2, padding: 2, outputPadding: 1 }],
  ] as const)('floats: %s', async (_, inputShape, weightShape, options: ConvTranspose2dOptions) => {
    const where = await device();
    for (const dtype of ['float32', 'float16'] as const) {
      const input = floatTensor(inputShape, 1, dtype);
      const weight = floatTensor(weightShape, 2, dtype);
      const { shape, data } = convTranspose2dReference(input, weight, null, { ...options, activation: 'relu' });
      const known = { ...options, activation: 'relu' as const, forwardOutput: tensorOf(shape, data, dtype) };
      const gradOutput = floatTensor(shape, 3, dtype);
      const gradients = await convTranspose2dBackward(gradOutput, input, weight, { ...known, device: where });
      const problem = { gradOutput, input, weight, options: known };
      expect(gradientMismatch(gradients, problem, { lane: 'float', output: dtype })).toBeUndefined();
    }
  });

  test.each(gradientCases.map((entry) => [entry.name, entry] as const))('TensorFlow.js: %s', async (_, entry) => {
    const { attrs, dyFill, expected, tolerance } = entry;
    const input = tensorOf(entry.input.shape, entry.input.data);
    const weight = tensorOf(entry.weight.shape, entry.weight.data);
    const outputShape = [input.shape[0]!, ...attrs.output_size, weight.shape[2]!];
    const [top = 0, left = 0, bottom = 0, right = 0] = attrs.padding ?? [];
    const options = fromTensorFlow({
      inputShape: input.shape,
      filterShape: weight.shape,
      outputShape,
      strides: attrs.stride,
      padding:
        attrs.padding === null
          ? (attrs.auto_pad as 'SAME' | 'VALID')
          : [
              [0, 0],
              [top, bottom],
              [left, right],
              [0, 0],
            ],
    });
    const gradOutput = tensorOf(outputShape, new Float32Array(lengthOf(outputShape)).fill(dyFill));
    const { gradInput, gradWeight } = await convTranspose2dBackward(gradOutput, input, weight, {
      ...options,
      device: await device(),
    });
    for (const [ours, theirs] of [
      [gradInput, expected.dx],
      [gradWeight, expected.dw],
    ] as const) {
      expect(ours.shape).toEqual(theirs.shape);
      const furthest = Math.max(...valuesOf(ours).map((value, at) => Math.abs(value - theirs.data[at]!)));
      expect(furthest).toBeLessThanOrEqual(tolerance.atol);
    }
  });

  test('the gradient of a strided convolution is this layer, and the other way round', async () => {
    const where = await device();
    // z = conv(x, w), stride 2, padding 1. Its gradient for x, given that of z, by finite sums of its definition.
    const options = { stride: 2, padding: 1, outputPadding: 1, device: where } as const;
    const gradient = integerTensor([1, 3, 4, 5], 1);
    const weight = integerTensor([3, 2, 3, 3], 2);
    const scattered = await convTranspose2d(gradient, weight, null, options);
    const [, channels, height, width] = scattered.shape as [number, number, number, number];
    const ones = Array.from({ length: lengthOf(scattered.shape) }, (_, at) => {
      // z for an x of one pixel: each entry is what that pixel adds.
      const [c, y, x] = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
      let sum = 0;
      for (let o = 0; o < 3; o++)
        for (let i = 0; i < 4; i++)
          for (let j = 0; j < 5; j++) {
            const [ky, kx] = [y - 2 * i + 1, x - 2 * j + 1];
            if (ky < 0 || kx < 0 || ky > 2 || kx > 2) continue;
            sum += gradient.data[(o * 4 + i) * 5 + j]! * weight.data[((o * channels + c) * 3 + ky) * 3 + kx]!;
          }
      return sum;
    });
    expect([...valuesOf(scattered)]).toEqual(ones);

    // And this layer's gradient is the strided convolution: with stride 1, a transposed one of the kernel turned round.
    const plain = { padding: 1, device: where } as const;
    const gradOutput = integerTensor([1, 2, 4, 5], 3);
    const input = integerTensor([1, 3, 4, 5], 4);
    const { gradInput } = await convTranspose2dBackward(gradOutput, input, weight, plain);
    const turned = tensorOf(
      [2, 3, 3, 3],
      Array.from({ length: 54 }, (_, at) => {
        const [o, i, k] = [Math.floor(at / 27), Math.floor(at / 9) % 3, at % 9];
        return weight.data[(i * 2 + o) * 9 + 8 - k]!;
      }),
    );
    expect([...valuesOf(gradInput)]).toEqual([...correlateReference(gradOutput, turned, null, { padding: 1 }).data]);
  });

  test('nothing: an empty batch has no gradient of its input, and zeros for the rest', async () => {
    const empty = tensorOf([0, 2, 3, 3], []);
    const weight = integerTensor([2, 3, 2, 2], 1);
    const gradients = await convTranspose2dBackward(tensorOf([0, 3, 4, 4], []), empty, weight, {
      device: await device(),
    });
    expect(gradients.gradInput.shape).toEqual([0, 2, 3, 3]);
    expect([...valuesOf(gradients.gradWeight)]).toEqual(Array.from({ length: 24 }, () => 0));
    expect([...valuesOf(gradients.gradBias)]).toEqual([0, 0, 0]);
  });

  test('what no memory could hold is refused', async () => {
    const where = await device();
    const one = integerTensor([1, 1, 2, 2], 1);
    const weight = integerTensor([1, 1, 3, 3], 2);
    for (const dilation of [300_000, 2 ** 29]) {
      // All but 2 × 2 outputs are cropped.
      const options = { dilation, padding: dilation, device: where };
      await expect(convTranspose2dBackward(one, one, weight, options)).rejects.toMatchObject({
        code: expect.stringMatching(/^(UNSUPPORTED|OUT_OF_MEMORY)$/) as string,
      });
    }
  });

  test('refusals name the argument', async () => {
    const where = await device();
    const input = integerTensor([1, 2, 3, 3], 1);
    const weight = integerTensor([2, 3, 2, 2], 2);
    const gradOutput = integerTensor([1, 3, 4, 4], 3);
    const refused = (message: string, ...call: unknown[]): Promise<void> =>
      expect(convTranspose2dBackward(...(call as Parameters<typeof convTranspose2dBackward>))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(message) as string,
      });
    const on = { device: where };
    await refused('gradOutput shape', integerTensor([1, 3, 4, 5], 3), input, weight, on);
    await refused('gradOutput dtype', integerTensor([1, 3, 4, 4], 3, 4, 'float16'), input, weight, on);
    await refused('forwardOutput', gradOutput, input, weight, { ...on, activation: 'relu' });
    await refused('forwardOutput shape', gradOutput, input, weight, {
      ...on,
      activation: 'relu',
      forwardOutput: input,
    });
    await refused("activation is 'gelu'", gradOutput, input, weight, { ...on, activation: 'gelu' });
    await refused("option 'output'", gradOutput, input, weight, { ...on, output: gradOutput });
    await refused("option 'bias'", gradOutput, input, weight, { ...on, bias: true });
    await refused('input shape', gradOutput, integerTensor([1, 3, 3, 3], 1), weight, on);
    await refused('gradOutput', undefined, input, weight, on);
    await refused('options', gradOutput, input, weight, 7);
    const signal = AbortSignal.abort(new Error(`stopped on ${name}`));
    await expect(convTranspose2dBackward(gradOutput, input, weight, { ...on, signal })).rejects.toThrow('stopped on');
  });
});
