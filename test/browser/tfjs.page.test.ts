// TensorFlow.js itself, with our kernels in place of its own: the same results, on its device, and nothing read back.
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-webgpu';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { decode } from '../../examples/tensorflow.ts';
import { fromTensorFlow } from '../../src/frameworks/index.ts';
import { registerConvTranspose2d } from '../../src/tfjs/index.ts';
import { Count } from '../support/count.ts';
import { outOfMemory, sooner } from '../support/failing.ts';
import { floatTensor, integerTensor, tensorOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

type Shape4D = [number, number, number, number];
interface Backend {
  readonly device: GPUDevice;
  disposeData: unknown;
}

let device: GPUDevice;
let backend: Backend;
let count: Count;
/** What encoders were made for, by label. */
let encoders: string[] = [];
let maps = 0;
const undo: (() => void)[] = [];

beforeAll(async () => {
  await tf.setBackend('webgpu');
  await tf.ready();
  backend = tf.backend() as unknown as Backend;
  ({ device } = backend);
  count = new Count(device);
  const create = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    encoders.push(descriptor?.label ?? '');
    return create(descriptor);
  };
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its buffer below
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (...args) {
    maps++;
    return mapAsync.apply(this, args);
  };
});
beforeEach(() => {
  encoders = [];
  maps = 0;
});
afterEach(() => {
  for (const back of undo.splice(0)) back();
});

function register(): () => void {
  const unregister = registerConvTranspose2d(tf);
  undo.push(unregister);
  return unregister;
}
const ours = (): number => encoders.filter((label) => label === 'conv-transpose2d tfjs').length;
const packed = (): number => encoders.filter((label) => label === 'conv-transpose2d pack').length;
const alive = (): string[] => [...count.live.values()].filter((label) => label.startsWith('conv-transpose2d')).sort();

const tensor4d = (shape: Shape4D, seed: number, most = 4): tf.Tensor4D =>
  tf.tensor4d(integerTensor(shape, seed, most).data as Float32Array, shape);

/** What a segment computes, by TensorFlow.js's kernels and by ours. */
async function both(segment: () => tf.Tensor): Promise<{ theirs: number[]; our: number[]; calls: number }> {
  const result = async (): Promise<number[]> => {
    const tensor = tf.tidy(segment);
    const values = await tensor.data();
    tensor.dispose();
    return [...values];
  };
  const theirs = await result();
  const unregister = register();
  encoders = [];
  const our = await result();
  const calls = ours();
  unregister();
  return { theirs, our, calls };
}

describe('tf.conv2dTranspose', () => {
  test.each<[Shape4D, Shape4D, Shape4D, number | [number, number], 'same' | 'valid' | number]>([
    [[1, 4, 4, 8], [4, 4, 8, 8], [1, 8, 8, 8], 2, 'same'],
    [[2, 3, 5, 3], [3, 3, 5, 3], [2, 6, 10, 5], 2, 'same'],
    [[1, 3, 3, 2], [3, 3, 1, 2], [1, 5, 5, 1], 2, 'same'],
    [[1, 3, 4, 2], [3, 2, 4, 2], [1, 7, 8, 4], 2, 'valid'],
    [[1, 3, 4, 2], [3, 2, 4, 2], [1, 8, 8, 4], 2, 'valid'],
    [[1, 3, 3, 16], [5, 5, 16, 16], [1, 3, 3, 16], 1, 'same'],
    [[1, 3, 3, 4], [2, 2, 3, 4], [1, 9, 9, 3], 3, 'same'],
    [[1, 4, 3, 4], [4, 4, 3, 4], [1, 8, 9, 3], [2, 3], 'same'],
    [[1, 4, 4, 4], [4, 4, 3, 4], [1, 8, 8, 3], 2, 1],
  ])('%j by %j to %j, strides %j, %s: the same', async (inputShape, filterShape, outputShape, strides, pad) => {
    const x = tensor4d(inputShape, 1);
    const filter = tensor4d(filterShape, 2);
    const { theirs, our, calls } = await both(() => tf.conv2dTranspose(x, filter, outputShape, strides, pad));
    expect(calls).toBe(1);
    expect(our).toEqual(theirs);
    tf.dispose([x, filter]);
  });

  test('as close to the exact result as any of our calls', async () => {
    register();
    const input = floatTensor([2, 5, 6, 12], 3);
    const weight = floatTensor([4, 4, 9, 12], 4);
    const y = tf.tidy(() =>
      tf.conv2dTranspose(
        tf.tensor4d(input.data as Float32Array, [2, 5, 6, 12]),
        tf.tensor4d(weight.data as Float32Array, [4, 4, 9, 12]),
        [2, 10, 12, 9],
        2,
        'same',
      ),
    );
    const output = tensorOf(y.shape, await y.data());
    const attributes = { inputShape: input.shape, filterShape: weight.shape, outputShape: y.shape };
    const options = fromTensorFlow({ ...attributes, strides: 2, padding: 'SAME' });
    expect(mismatch(output, { input, weight, options }, { lane: 'float' })).toBeUndefined();
    y.dispose();
  });

  test('a single image, and channels first', async () => {
    const image = tf.tensor3d(integerTensor([4, 4, 3], 5).data as Float32Array, [4, 4, 3]);
    const filter = tensor4d([3, 3, 2, 3], 6);
    const single = await both(() => tf.conv2dTranspose(image, filter, [8, 8, 2], 2, 'same'));
    expect(single.calls).toBe(1);
    expect(single.our).toEqual(single.theirs);

    const dy = tensor4d([1, 3, 4, 4], 7);
    const attrs = { strides: 2, pad: 'same', dataFormat: 'NCHW', inputShape: [1, 2, 8, 8] };
    const first = await both((): tf.Tensor => tf.engine().runKernel('Conv2DBackpropInput', { dy, filter }, attrs));
    expect(first.calls).toBe(1);
    expect(first.our).toEqual(first.theirs);
    tf.dispose([image, filter, dy]);
  });

  test.each<[string, () => tf.Tensor]>([
    [
      'no image',
      () =>
        tf.conv2dTranspose(
          tf.zeros<tf.Rank.R4>([0, 4, 4, 2]),
          tf.ones<tf.Rank.R4>([3, 3, 1, 2]),
          [0, 8, 8, 1],
          2,
          'same',
        ),
    ],
    [
      'an input that is larger than the output needs',
      () => tf.conv2dTranspose(tensor4d([1, 5, 4, 2], 8), tensor4d([3, 3, 1, 2], 9), [1, 8, 8, 1], 2, 'same'),
    ],
  ])('%s: TensorFlow.js’s own kernel, with its result', async (_, segment) => {
    const { theirs, our, calls } = await both(segment);
    expect(calls).toBe(0);
    expect(our).toEqual(theirs);
  });

  test('what is beyond the device goes on to TensorFlow.js', async () => {
    // The packed filter would be beyond maxBufferSize: a device that says so, for this one call.
    const x = tensor4d([1, 2, 2, 4], 10);
    const filter = tensor4d([2, 2, 4, 4], 11);
    const { limits } = device;
    const small = new Proxy(limits, {
      get: (target, name): unknown => (name === 'maxBufferSize' ? 64 : Reflect.get(target, name, target)),
    });
    Object.defineProperty(device, 'limits', { value: small, configurable: true });
    const { theirs, our, calls } = await both(() => tf.conv2dTranspose(x, filter, [1, 4, 4, 4], 2, 'same'));
    Object.defineProperty(device, 'limits', { value: limits, configurable: true });
    expect(calls).toBe(0);
    expect(our).toEqual(theirs);
    tf.dispose([x, filter]);
  });
});

describe('filters', () => {
  const call = (filter: tf.Tensor4D): tf.Tensor4D =>
    tf.tidy(() => tf.conv2dTranspose(tensor4d([1, 2, 2, 4], 12), filter, [1, 4, 4, 3], 2, 'same'));

  test('are packed once, clones too, and stay on the GPU', async () => {
    register();
    const filter = tensor4d([3, 3, 3, 4], 13);
    const results = [call(filter), call(filter), call(filter.clone())];
    expect([ours(), packed(), maps]).toEqual([3, 1, 0]);
    expect(alive()).not.toEqual([]);
    filter.dispose();
    expect(await results[2]!.data()).toEqual(await results[0]!.data());
    tf.dispose(results);
  });

  test('that are disposed of take their packing along at once', () => {
    register();
    const before = alive();
    const filter = tensor4d([3, 3, 3, 4], 14);
    call(filter).dispose();
    expect(alive().length).toBeGreaterThan(before.length);
    filter.dispose();
    expect(alive()).toEqual(before);
  });

  test('that are assigned to are packed anew, and only the last packing is kept', async () => {
    register();
    const variable = tf.tidy(() => tf.variable<tf.Rank.R4>(tensor4d([3, 3, 3, 4], 15)));
    call(variable).dispose();
    const kept = alive();
    for (const seed of [16, 17, 18]) {
      const next = tensor4d([3, 3, 3, 4], seed);
      const expected = call(next);
      variable.assign(next);
      next.dispose();
      const y = call(variable);
      expect([...(await y.data())]).toEqual([...(await expected.data())]);
      tf.dispose([y, expected]);
      expect(alive()).toEqual(kept);
    }
    variable.dispose();
  });

  test('that found no room to be packed are packed anew, and TensorFlow.js computes a call meanwhile', async () => {
    const filter = tensor4d([3, 3, 3, 4], 19);
    const expected = call(filter);
    const values = await expected.data();
    register();
    const stop = outOfMemory(device, ({ label }) => label === 'conv-transpose2d pack params');
    call(filter).dispose();
    stop();
    const tensors = tf.memory().numTensors;
    const right = async (): Promise<void> => {
      const y = call(filter);
      const got = await y.data();
      y.dispose();
      expect(got).toEqual(values);
    };
    await sooner(right);
    const before = packed();
    await right();
    await right();
    expect([packed() - before, tf.memory().numTensors - tensors]).toEqual([1, 0]);
    tf.dispose([filter, expected]);
  });

  test('in a buffer that the user has lent may change between calls', async () => {
    register();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ label: 'lent', size: 3 * 3 * 3 * 4 * 4, usage });
    const filter = tf.tensor<tf.Rank.R4>({ buffer, zeroCopy: true }, [3, 3, 3, 4], 'float32');
    for (const seed of [20, 21]) {
      const values = integerTensor([3, 3, 3, 4], seed).data as Float32Array<ArrayBuffer>;
      device.queue.writeBuffer(buffer, 0, values);
      const own = tf.tensor4d(values, [3, 3, 3, 4]);
      const [y, expected] = [call(filter), call(own)];
      expect([...(await y.data())]).toEqual([...(await expected.data())]);
      tf.dispose([y, expected, own]);
    }
    filter.dispose();
    buffer.destroy();
  });
});

describe('gradients', () => {
  test('of conv2dTranspose and of conv2d are the same', async () => {
    const x = tensor4d([1, 4, 4, 3], 22, 2);
    const filter = tensor4d([3, 3, 2, 3], 23, 2);
    const weights = tensor4d([1, 8, 8, 2], 24, 2);
    const loss = (x: tf.Tensor, filter: tf.Tensor): tf.Tensor =>
      tf
        .conv2dTranspose(x as tf.Tensor4D, filter as tf.Tensor4D, [1, 8, 8, 2], 2, 'same')
        .mul(weights)
        .sum();
    for (const which of [0, 1]) {
      const { theirs, our } = await both(() => tf.grads(loss)([x, filter])[which]!);
      expect(our).toEqual(theirs);
    }
    const back = tensor4d([3, 3, 3, 5], 25, 2);
    const forward = (x: tf.Tensor): tf.Tensor => tf.conv2d(x as tf.Tensor4D, back, 2, 'same').sum();
    const { theirs, our, calls } = await both(() => tf.grad(forward)(x));
    expect(calls).toBe(1);
    expect(our).toEqual(theirs);
    tf.dispose([x, filter, weights, back]);
  });

  test('training goes the same way', async () => {
    const x = tensor4d([1, 4, 4, 3], 26, 1);
    const wanted = tensor4d([1, 8, 8, 2], 27, 2);
    const initial = tensor4d([3, 3, 2, 3], 28, 1);
    const { theirs, our, calls } = await both(() => {
      const filter = tf.variable<tf.Rank.R4>(initial);
      const optimizer = tf.train.sgd(2 ** -5);
      for (let step = 0; step < 3; step++) {
        optimizer.minimize(
          () => tf.conv2dTranspose(x, filter, [1, 8, 8, 2], 2, 'same').mul(wanted).sum().asScalar(),
          false,
          [filter],
        );
      }
      const trained = filter.clone();
      filter.dispose();
      return trained;
    });
    expect(calls).toBe(3);
    expect(our).toEqual(theirs);
    tf.dispose([x, wanted, initial]);
  });
});

describe('models', () => {
  /** Small integers as weights, so that any order of summation gives the same. */
  function layersModel(): tf.Sequential {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2dTranspose({
          inputShape: [5, 5, 4],
          filters: 6,
          kernelSize: 4,
          strides: 2,
          padding: 'same',
          activation: 'relu',
        }),
        tf.layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'valid' }),
      ],
    });
    tf.tidy(() => {
      const integers = ({ shape }: tf.Tensor, i: number): tf.Tensor =>
        tf.tensor(integerTensor(shape, 30 + i, 2).data, shape);
      model.setWeights(model.getWeights().map(integers));
    });

    return model;
  }

  test('a layers model predicts the same before and after', async () => {
    const model = layersModel();
    const x = tensor4d([2, 5, 5, 4], 40);
    const { theirs, our, calls } = await both(() => model.predict(x) as tf.Tensor);
    expect(calls).toBe(2);
    expect(our).toEqual(theirs);
    expect(Math.max(...our)).toBeGreaterThan(0);

    register();
    encoders = [];
    maps = 0;
    for (let i = 0; i < 3; i++) (model.predict(x) as tf.Tensor).dispose();
    expect([ours(), packed(), maps]).toEqual([6, 2, 0]);
    model.dispose();
    expect(alive()).toEqual([]);
    x.dispose();
  });

  test('a graph model too', async () => {
    const filter = integerTensor([4, 4, 5, 3], 41);
    const string = (value: string): { s: string } => ({ s: btoa(value) });
    const type = (name: string): { type: string } => ({ type: name });
    const node = [
      { name: 'x', op: 'Placeholder', attr: { dtype: type('DT_FLOAT'), shape: { shape: { unknownRank: true } } } },
      { name: 'filter', op: 'Const', attr: { dtype: type('DT_FLOAT') } },
      { name: 'size', op: 'Const', attr: { dtype: type('DT_INT32') } },
      {
        name: 'y',
        op: 'Conv2DBackpropInput',
        input: ['size', 'filter', 'x'],
        attr: {
          T: type('DT_FLOAT'),
          strides: { list: { i: ['1', '2', '2', '1'] } },
          padding: string('SAME'),
          data_format: string('NHWC'),
        },
      },
    ];
    const size = Int32Array.of(1, 12, 12, 5);
    const values = filter.data as Float32Array;
    const weightData = new Uint8Array(values.byteLength + size.byteLength);
    weightData.set(new Uint8Array(values.buffer));
    weightData.set(new Uint8Array(size.buffer), values.byteLength);
    const model = await tf.loadGraphModel(
      tf.io.fromMemory({
        modelTopology: { node, versions: {}, library: {} },
        weightSpecs: [
          { name: 'filter', shape: [...filter.shape], dtype: 'float32' },
          { name: 'size', shape: [4], dtype: 'int32' },
        ],
        weightData: weightData.buffer,
      }),
    );
    const x = tensor4d([1, 6, 6, 3], 42);
    const { theirs, our, calls } = await both(() => model.predict(x) as tf.Tensor);
    expect(calls).toBe(1);
    expect(our).toEqual(theirs);
    model.dispose();
    x.dispose();
  });
});

test('the example of the docs runs on our kernels, and leaves nothing behind', async () => {
  const features = tf.randomUniform<tf.Rank.R4>([2, 8, 8, 16]);
  const before = { alive: alive(), tensors: tf.memory().numTensors };
  const values = await decode(features);
  expect(ours()).toBe(2);
  expect(values.length).toBe(2 * 32 * 32 * 3);
  // A sigmoid's.
  expect(values.every((value) => value > 0 && value < 1)).toBe(true);
  expect({ alive: alive(), tensors: tf.memory().numTensors }).toEqual(before);
  features.dispose();
});

describe('unregistering', () => {
  const kernel = (): unknown => tf.getKernel('Conv2DBackpropInput', 'webgpu');

  test('gives TensorFlow.js its own kernel back, and lets go of every packed filter', () => {
    const before = { kernel: kernel(), disposeData: backend.disposeData, alive: alive() };
    const unregister = register();
    expect(kernel()).not.toBe(before.kernel);
    const filter = tensor4d([3, 3, 3, 4], 50);
    const y = tf.tidy(() => tf.conv2dTranspose(tf.ones<tf.Rank.R4>([1, 2, 2, 4]), filter, [1, 4, 4, 3], 2, 'same'));
    unregister();
    expect({ kernel: kernel(), disposeData: backend.disposeData, alive: alive() }).toEqual(before);
    unregister();
    expect(kernel()).toBe(before.kernel);
    tf.dispose([filter, y]);
  });

  test('in any order', async () => {
    const before = kernel();
    const [first, second] = [register(), register()];
    first();
    const { theirs, our } = await both(() =>
      tf.conv2dTranspose(tf.ones<tf.Rank.R4>([1, 2, 2, 4]), tensor4d([3, 3, 3, 4], 51), [1, 4, 4, 3], 2, 'same'),
    );
    expect(our).toEqual(theirs);
    second();
    expect(kernel()).not.toBe(before);
  });
});

describe('a backend that is removed', () => {
  test('lets go of its filters, and another of its name is served, before and after unregistering', async () => {
    const own = tf.getKernel('Conv2DBackpropInput', 'webgpu');
    const factory = tf.findBackendFactory('webgpu');
    const unregister = register();
    const deconvolve = async (): Promise<number[]> => {
      const y = tf.tidy(() =>
        tf.conv2dTranspose(tf.ones<tf.Rank.R4>([1, 2, 2, 4]), tensor4d([3, 3, 3, 4], 50), [1, 4, 4, 3], 2, 'same'),
      );
      const values = [...(await y.data())];
      y.dispose();
      return values;
    };
    const before = alive();
    const filter = tensor4d([3, 3, 3, 4], 50);
    const y = tf.tidy(() => tf.conv2dTranspose(tf.ones<tf.Rank.R4>([1, 2, 2, 4]), filter, [1, 4, 4, 3], 2, 'same'));
    const values = [...(await y.data())];
    expect(alive().length).toBeGreaterThan(before.length);
    tf.dispose([filter, y]);
    tf.removeBackend('webgpu');
    expect(alive()).toEqual([]);
    tf.registerBackend('webgpu', factory, 3);
    await tf.setBackend('webgpu');
    await tf.ready();
    backend = tf.backend() as unknown as Backend;
    expect(tf.getKernel('Conv2DBackpropInput', 'webgpu')).not.toBe(own);
    expect(await deconvolve()).toEqual(values);
    unregister();
    expect(tf.getKernel('Conv2DBackpropInput', 'webgpu')).toBe(own);
    expect(await deconvolve()).toEqual(values);
  });
});

test('a TensorFlow.js without that kernel is refused', () => {
  const without = { ...tf, getKernel: () => undefined } as unknown as typeof tf;
  expect(() => registerConvTranspose2d(without)).toThrow("import '@tensorflow/tfjs-backend-webgpu' first");
});
