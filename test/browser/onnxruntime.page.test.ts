// ONNX Runtime Web itself: a layer of ours between two of its sessions, on its device, and nothing read back in between.
import * as ort from 'onnxruntime-web/webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runBetween, sessionOnGpu } from '../../examples/onnxruntime.ts';
import { ConvTranspose2d, type ConvTranspose2dOptions, type HostTensor } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { Count } from '../support/count.ts';
import { convTransposeModel } from '../../bench/contenders/onnx-model.ts';
import { integerTensor, tensorOf, type Shape } from '../support/tensors.ts';

const stride2 = { stride: 2, padding: 1 } as const;
const model = convTransposeModel({ strides: [2, 2], pads: [1, 1, 1, 1] });

let first: ort.InferenceSession;
let second: ort.InferenceSession;
let device: GPUDevice;
let count: Count;
/** Buffers that the host mapped to read, and those that could be. */
let reads = 0;
let readable = 0;

beforeAll(async () => {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  first = await sessionOnGpu(model);
  second = await sessionOnGpu(model);
  device = await ort.env.webgpu.device;
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    if ((descriptor.usage & GPUBufferUsage.MAP_READ) !== 0) readable++;
    return createBuffer(descriptor);
  };
  count = new Count(device);
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its buffer below
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (...args) {
    reads++;
    return mapAsync.apply(this, args);
  };
});
afterAll(async () => {
  await first.release();
  await second.release();
});

const fed = ({ shape, data }: HostTensor): ort.Tensor => new ort.Tensor('float32', data as Float32Array, shape);
const reference = (input: HostTensor, weight: HostTensor, options: ConvTranspose2dOptions): HostTensor => {
  const { shape, data } = convTranspose2dReference(input, weight, null, options);
  return tensorOf(shape, data);
};

describe('a layer between two sessions', () => {
  // The second's tensors are no whole number of ONNX Runtime's 16 bytes.
  test.each<[Shape, Shape, Shape, Shape]>([
    [
      [1, 4, 4, 4],
      [4, 4, 4, 4],
      [4, 4, 4, 4],
      [4, 4, 4, 4],
    ],
    [
      [2, 3, 3, 5],
      [3, 5, 3, 3],
      [5, 3, 3, 3],
      [3, 1, 3, 3],
    ],
  ])('%j: what the three give, one after the other', async (inputShape, weight1, weight2, weight3) => {
    const input = integerTensor(inputShape, 1, 2);
    const weights = [weight1, weight2, weight3].map((shape, i) => integerTensor(shape, i + 2, 2));
    const [ins, outs, height, width] = weight2 as [number, number, number, number];
    const layer = new ConvTranspose2d(ins, outs, [height, width], {
      ...stride2,
      activation: 'relu',
      bias: false,
      device,
    });
    layer.loadStateDict({ weight: weights[1]! });
    const between = reference(input, weights[0]!, stride2);
    await layer.prepare(between.shape);

    [reads, readable] = [0, 0];
    const run = runBetween(first, layer, second, { x: fed(input), w: fed(weights[0]!) }, { w: fed(weights[2]!) });
    const y = (await run)['y']!;
    expect({ location: y.location, reads, readable }).toEqual({ location: 'gpu-buffer', reads: 0, readable: 0 });

    const values = (await y.getData()) as Float32Array;
    // The counts count: now it was read.
    expect(reads).toBeGreaterThan(0);
    const upsampled = reference(between, weights[1]!, { ...stride2, activation: 'relu' });
    const expected = reference(upsampled, weights[2]!, stride2);
    expect(y.dims).toEqual(expected.shape);
    expect(values).toEqual(expected.data);
    y.dispose();
    layer.destroy();
    expect([...count.live.values()].filter((label) => label.startsWith('conv-transpose2d'))).toEqual([]);
  });
});
