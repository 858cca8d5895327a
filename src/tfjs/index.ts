/** TensorFlow.js on these kernels: one kernel of its WebGPU backend is replaced, and nothing else. */
import { ConvTranspose2dError } from '../errors.ts';
import type { ConvTranspose2dOptions, GpuTensor } from '../types.ts';
import { Filters } from './filters.ts';
import {
  isBackend,
  type Attributes,
  type Backend,
  type KernelCall,
  type KernelConfig,
  type TensorFlow,
  type TensorInfo,
} from './library.ts';

export type {
  Attributes,
  ConvolutionInfo,
  ConvolutionRules,
  Flags,
  KernelCall,
  KernelConfig,
  TensorFlow,
  TensorInfo,
} from './library.ts';

/** What `tf.conv2dTranspose` and the gradient of `tf.conv2d` run. */
const KERNEL = 'Conv2DBackpropInput';
const BACKEND = 'webgpu';

/**
 * Makes TensorFlow.js's WebGPU backend use this package's kernels for `tf.conv2dTranspose`, and so for every layers or graph
 * model's Conv2DTranspose: on the backend's device and buffers, with the same results. Gradients, other operations and other
 * backends stay as they are. Calls that these kernels do not support (beyond a device's limits, not float32) still go to
 * TensorFlow.js's own kernel.
 *
 * @param tf `@tensorflow/tfjs` or `@tensorflow/tfjs-core`, version 4.22, after `@tensorflow/tfjs-backend-webgpu` was imported
 * @returns a function that restores TensorFlow.js's own kernel and frees all packed filters
 * @throws ConvTranspose2dError UNSUPPORTED without that backend; calls throw it if its version lacks what is needed
 */
export function registerConvTranspose2d(tf: TensorFlow): () => void {
  const original = tf.getKernel(KERNEL, BACKEND);
  if (original === undefined) {
    throw new ConvTranspose2dError(
      'UNSUPPORTED',
      `TensorFlow.js has no ${KERNEL} for '${BACKEND}': import '@tensorflow/tfjs-backend-webgpu' first`,
    );
  }
  const filters = new Map<object, Filters>();
  let registered = true;

  const letGo = (backend: object): void => {
    filters.get(backend)?.destroy();
    filters.delete(backend);
  };
  const ours: KernelConfig = {
    ...original,
    kernelFunc(call) {
      const output = registered ? run(tf, filtersOf(call.backend), call) : undefined;
      return output ?? original.kernelFunc(call);
    },
    disposeFunc(backend) {
      letGo(backend);
      original.disposeFunc?.(backend);
    },
  };
  const filtersOf = (backend: object): Filters => {
    let known = filters.get(backend);
    if (known === undefined) {
      if (!isBackend(backend)) {
        throw new ConvTranspose2dError(
          'UNSUPPORTED',
          'this WebGPU backend of TensorFlow.js is not that of version 4.22',
        );
      }
      known = new Filters(backend);
      filters.set(backend, known);
    }
    return known;
  };

  replaceKernel(tf, ours);
  return () => {
    registered = false;
    [...filters.keys()].forEach(letGo);
    // Another kernel may have been registered over ours since: then ours only passes calls on.
    if (tf.getKernel(KERNEL, BACKEND) === ours) replaceKernel(tf, original);
  };
}

/** Replaces a kernel without TensorFlow.js's warning that there is one already. */
function replaceKernel(tf: TensorFlow, kernel: KernelConfig): void {
  tf.unregisterKernel(KERNEL, BACKEND);
  tf.registerKernel(kernel);
}

/** Computes a call by our kernels; undefined if they do not support it. */
function run(tf: TensorFlow, filters: Filters, call: KernelCall): TensorInfo | undefined {
  // `dy` is a transposed convolution's input: the kernel is named for what it is to a convolution.
  const { dy, filter } = call.inputs as { dy: TensorInfo; filter: TensorInfo };
  const attrs = call.attrs as Attributes;
  // In this mode TensorFlow.js only compiles its own kernels, and runs nothing.
  if (tf.env().getBool('WEBGPU_ENGINE_COMPILE_ONLY')) return undefined;
  const { backend } = filters;
  const options = optionsOf(tf, dy, filter, attrs);
  if (options === undefined || dy.shape[0] === 0) return undefined;
  for (const { dataId } of [dy, filter]) backend.uploadToGPU(dataId);
  if (![dy, filter].every(({ dataId }) => isFloat32Buffer(backend.tensorMap.get(dataId)))) return undefined;

  // What the backend has recorded is submitted first: it may write the input and the filter.
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  const layer = takenBy(() => {
    const layer = filters.layer(filter, options);
    layer.plan(dy.shape);
    return layer;
  });
  if (layer === undefined) return undefined;

  const output = backend.makeTensorInfo(attrs.inputShape, 'float32');
  backend.uploadToGPU(output.dataId);
  const tensor = ({ dataId, shape }: TensorInfo): GpuTensor => ({
    shape,
    buffer: backend.tensorMap.get(dataId).resource as GPUBuffer,
  });
  const encoder = backend.device.createCommandEncoder({ label: 'conv-transpose2d tfjs' });
  if (takenBy(() => layer.encode(encoder, tensor(dy), tensor(output))) === undefined) {
    // Packing the filter failed when it was first used; there may be memory by now.
    filters.forget(filter.dataId);
    backend.disposeData(output.dataId);
    return undefined;
  }
  backend.device.queue.submit([encoder.finish()]);
  return output;
}

/** A layer's options; undefined where the input does not fit the output's shape, which TensorFlow.js does not check. */
function optionsOf(
  tf: TensorFlow,
  { shape }: TensorInfo,
  filter: TensorInfo,
  { inputShape: outputShape, strides, pad, dataFormat, dimRoundingMode }: Attributes,
): ConvTranspose2dOptions | undefined {
  const format = tf.backend_util.convertConv2DDataFormat(dataFormat);
  const filterShape = filter.shape as [number, number, number, number];
  const forward = tf.backend_util.computeConv2DInfo(
    outputShape,
    filterShape,
    strides,
    1,
    pad,
    dimRoundingMode,
    false,
    format,
  );
  if (shape.some((extent, axis) => extent !== forward.outShape[axis])) return undefined;
  const { strideHeight, strideWidth, padInfo } = forward;
  const bottom = (forward.outHeight - 1) * strideHeight + forward.filterHeight - padInfo.top - forward.inHeight;
  const right = (forward.outWidth - 1) * strideWidth + forward.filterWidth - padInfo.left - forward.inWidth;
  return {
    stride: [strideHeight, strideWidth],
    padding: [padInfo.top, padInfo.left, bottom, right],
    layout: dataFormat,
  };
}

const isFloat32Buffer = ({ dtype, resource }: ReturnType<Backend['tensorMap']['get']>): boolean =>
  dtype === 'float32' && resource instanceof GPUBuffer;

/** The result of a segment; undefined if it is beyond these kernels or the device's limits. */
function takenBy<T>(segment: () => T): T | undefined {
  try {
    return segment();
  } catch (error) {
    if (error instanceof ConvTranspose2dError && error.code !== 'DEVICE_LOST') return undefined;
    throw error;
  }
}
