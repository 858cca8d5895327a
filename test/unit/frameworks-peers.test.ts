// The importers against the libraries themselves, on random attributes: the same numbers, and the same verdict.
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, test } from 'vitest';
import { ConvTranspose2dError } from '../../src/errors.ts';
import { fromOnnx, fromTensorFlow } from '../../src/frameworks/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import type { ConvTranspose2dOptions } from '../../src/types.ts';
import { convTransposeModel } from '../../bench/contenders/onnx-model.ts';
import { integerTensor } from '../support/tensors.ts';

const size = fc.integer({ min: 1, max: 4 });
const both = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(one, one);
const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined, freq: 2 });

/** What an importer gives, or the message of its refusal. */
function imported(importer: () => ConvTranspose2dOptions): ConvTranspose2dOptions | string {
  try {
    return importer();
  } catch (error) {
    if (error instanceof ConvTranspose2dError) return error.message;
    throw error;
  }
}

describe('ONNX Runtime', () => {
  beforeAll(() => {
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'fatal';
  });

  test('600 random nodes', async () => {
    const drawn = fc.record({
      input: both(size),
      kernel: both(size),
      attributes: fc.record({
        auto_pad: fc.constantFrom(undefined, undefined, 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
        strides: maybe(both(size)),
        dilations: maybe(both(fc.integer({ min: 1, max: 3 }))),
        output_padding: maybe(both(fc.nat(3))),
        pads: maybe(fc.array(fc.nat(3), { minLength: 4, maxLength: 4 })),
        group: maybe(fc.constantFrom(1, 2, 3)),
      }),
      // Near the size that comes out, where both verdicts happen.
      beyond: maybe(both(fc.integer({ min: -4, max: 3 }))),
      named: fc.boolean(),
    });
    const verdicts = { same: 0, refused: 0 };
    const property = fc.asyncProperty(drawn, async ({ input, kernel, attributes, beyond, named }) => {
      const x = integerTensor([1, 2, ...input], 1);
      const w = integerTensor([2, 2, ...kernel], 2);
      const { strides = [1, 1], dilations = [1, 1] } = attributes;
      const around = (axis: 0 | 1): number =>
        strides[axis] * (input[axis] - 1) + dilations[axis] * (kernel[axis] - 1) + 1 + (beyond?.[axis] ?? 0);
      const sizes = [around(0), around(1)];
      const node = { ...attributes, output_shape: beyond && (named ? [1, 2, ...sizes] : sizes) };
      const options = imported(() => fromOnnx({ ...node, inputShape: x.shape, weightShape: w.shape }));
      const theirs = await onnxRuntime(node, x, w);
      if (typeof options === 'string') {
        expect(theirs, `we refuse: ${options}`).toBeUndefined();
        verdicts.refused++;
      } else {
        const { shape, data } = convTranspose2dReference(x, w, null, options);
        expect(theirs).toEqual({ shape, data: [...data] });
        verdicts.same++;
      }
    });
    await fc.assert(property, { numRuns: 600 });
    expect(Math.min(verdicts.same, verdicts.refused)).toBeGreaterThan(100);
  });

  type Operand = ReturnType<typeof integerTensor>;

  /** The result, or undefined where the session or the run is refused. */
  async function onnxRuntime(
    attributes: Parameters<typeof convTransposeModel>[0],
    x: Operand,
    w: Operand,
  ): Promise<{ shape: number[]; data: number[] } | undefined> {
    const tensor = ({ shape, data }: Operand): ort.Tensor => new ort.Tensor('float32', data as Float32Array, shape);
    try {
      const session = await ort.InferenceSession.create(convTransposeModel(attributes), { logSeverityLevel: 4 });
      const { y } = await session.run({ x: tensor(x), w: tensor(w) }, { logSeverityLevel: 4 });
      const data = [...(y!.data as Float32Array)].map((value) => value + 0);
      await session.release();
      return { shape: [...y!.dims], data };
    } catch {
      return undefined;
    }
  }
});

describe('TensorFlow.js', () => {
  beforeAll(async () => {
    // Else it advises against Node.
    tf.env().set('IS_TEST', true);
    await tf.setBackend('cpu');
  });

  test('300 random calls that TensorFlow takes', () => {
    const drawn = fc.record({
      input: both(size),
      kernel: both(size),
      strides: both(size),
      padding: fc.constantFrom('SAME' as const, 'VALID' as const),
      beyond: both(fc.nat(3)),
    });
    let compared = 0;
    const property = fc.property(drawn, ({ input, kernel, strides, padding, beyond }) => {
      const x = integerTensor([2, ...input, 3], 1);
      const w = integerTensor([...kernel, 2, 3], 2);
      const outputSize = (axis: 0 | 1): number => {
        const most = strides[axis] - 1;
        const spread = Math.min(beyond[axis], most);
        return padding === 'SAME'
          ? strides[axis] * input[axis] - spread
          : strides[axis] * (input[axis] - 1) + kernel[axis] + spread;
      };
      const outputShape: [number, number, number, number] = [2, outputSize(0), outputSize(1), 2];
      const options = fromTensorFlow({ inputShape: x.shape, filterShape: w.shape, outputShape, strides, padding });
      const { shape, data } = convTranspose2dReference(x, w, null, options);
      expect(shape).toEqual(outputShape);
      const theirs = tf.tidy(() => {
        const [image, filter] = [
          tf.tensor4d(x.data as Float32Array, x.shape as typeof outputShape),
          tf.tensor4d(w.data as Float32Array, w.shape as typeof outputShape),
        ];
        return [
          ...tf.conv2dTranspose(image, filter, outputShape, strides, padding === 'SAME' ? 'same' : 'valid').dataSync(),
        ];
      });
      expect([...data].map((value) => value + 0)).toEqual(theirs.map((value) => value + 0));
      compared++;
    });
    fc.assert(property, { numRuns: 300 });
    expect(compared).toBe(300);
  });
});
