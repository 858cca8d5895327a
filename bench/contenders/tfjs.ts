import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { registerConvTranspose2d } from 'webgpu-conv-transpose2d/tfjs';
import { elements, type Problem } from '../layer.ts';
import { adapterName, type Contender, type Instance } from './contender.ts';

/** Of its backend, what is needed to wait for the GPU. */
interface Backend {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

let backend: Backend | undefined;

export async function ready(): Promise<Backend> {
  if (!backend) {
    if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js has no WebGPU backend here');
    await tf.ready();
    backend = tf.backend() as unknown as Backend;
  }
  return backend;
}

/** (n, c, h, w) to (n, h, w, c), or with the axes' sizes given accordingly, any such change of order. */
export function permute(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => elements(shape.slice(axis + 1)));
  const [a = 1, b = 1, c = 1, d = 1] = order.map((axis) => shape[axis]);
  const [sa = 0, sb = 0, sc = 0, sd = 0] = order.map((axis) => strides[axis]);
  const result = new Float32Array(data.length);
  let at = 0;
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++)
        for (let l = 0; l < d; l++) result[at++] = data[i * sa + j * sb + k * sc + l * sd] ?? NaN;
  return result;
}

const theirs = tf.getKernel('Conv2DBackpropInput', 'webgpu');
registerConvTranspose2d(tf);
const ours = tf.getKernel('Conv2DBackpropInput', 'webgpu');

/** The contenders take turns in one page: each run begins with its own kernel in place. */
export function useKernel(registered: boolean): void {
  const kernel = registered ? ours : theirs;
  if (tf.getKernel(kernel.kernelName, kernel.backendName) === kernel) return;
  tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel(kernel);
}

/** What a layer's call of TensorFlow.js takes. @throws where it has no such layer */
export async function callOf({ layer, input, weight, weightShape, outputShape }: Problem): Promise<{
  gpu: Backend;
  x: tf.Tensor4D;
  filter: tf.Tensor4D;
  shape: [number, number, number, number];
  padding: tf.backend_util.ExplicitPadding;
}> {
  if (layer.groups !== 1) throw new Error('refused: conv2dTranspose has no groups');
  if (layer.dilation.some((step) => step !== 1)) throw new Error('refused: conv2dTranspose has no dilation');
  const gpu = await ready();
  const [n, c, h, w] = layer.input;
  const [, outChannels, outHeight, outWidth] = outputShape;
  const [top, left] = layer.padding;
  return {
    gpu,
    x: tf.tensor4d(permute(input, layer.input, [0, 2, 3, 1]), [n, h, w, c]),
    filter: tf.tensor4d(permute(weight, weightShape, [2, 3, 1, 0]), [...layer.kernelSize, outChannels, c]),
    shape: [n, outHeight, outWidth, outChannels],
    padding: [
      [0, 0],
      [top, top],
      [left, left],
      [0, 0],
    ],
  };
}

async function create(problem: Problem, setting: string): Promise<Instance> {
  const { layer } = problem;
  const { gpu, x, filter, shape, padding } = await callOf(problem);
  let result: tf.Tensor4D | undefined;

  const run = async (times: number): Promise<void> => {
    tf.env().set('WEBGPU_USE_NAIVE_CONV2D_TRANSPOSE', setting === 'gather');
    useKernel(setting === 'registered');
    for (let i = 0; i < times; i++) {
      result?.dispose();
      // The op's types know no list of paddings; its kernel does.
      result = tf.conv2dTranspose(x, filter, shape, [...layer.stride], padding);
    }
    // Without the end of its open pass the commands would be dropped, and it would look many times faster.
    gpu.ensureCommandEncoderReady();
    gpu.endComputePassEncoder();
    gpu.submitQueue();
    await gpu.queue.onSubmittedWorkDone();
  };
  return {
    run,
    async read() {
      if (!result) throw new Error('read before run');
      const values = await result.data<'float32'>();
      return permute(values, shape, [0, 3, 1, 2]);
    },
    dispose() {
      result?.dispose();
      x.dispose();
      filter.dispose();
      return Promise.resolve();
    },
  };
}

/** TensorFlow.js: float32, NHWC; `gather` is its default kernel, `matmul` the one behind a flag. */
export const tfjsWebgpu: Contender = {
  name: 'tfjs-webgpu',
  settings: ['gather', 'matmul'],
  async adapter() {
    return adapterName((await ready()).device.adapterInfo);
  },
  create,
};

/** TensorFlow.js as it is after `registerConvTranspose2d(tf)`: the same calls, on our kernels. */
export const tfjsRegistered: Contender = { ...tfjsWebgpu, name: 'tfjs-registered', settings: ['registered'] };
