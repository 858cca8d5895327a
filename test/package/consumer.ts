// What a user of the package may write: compiled against the published declarations, never against the sources.
import {
  ConvTranspose2d,
  bilinearWeight,
  convTranspose2d,
  convTranspose2dBackward,
  download,
  outputShape,
  requestDevice,
  upload,
} from 'webgpu-conv-transpose2d';
import type {
  Call,
  ConvTranspose2dError,
  ConvTranspose2dOptions,
  DType,
  Device,
  Float16ArrayLike,
  GpuTensor,
  HostTensor,
  Padding,
  Pair,
  Plan,
} from 'webgpu-conv-transpose2d';
import {
  fromCaffe,
  fromKeras,
  fromMxnet,
  fromOnnx,
  fromTensorFlow,
  fromWebNN,
} from 'webgpu-conv-transpose2d/frameworks';
import { imageToTensor, tensorToCanvas, tensorToTexture, textureToTensor } from 'webgpu-conv-transpose2d/image';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { registerConvTranspose2d, type TensorFlow } from 'webgpu-conv-transpose2d/tfjs';
import { readSafetensors, type Checkpoint, type CheckpointTensor } from 'webgpu-conv-transpose2d/weights';

const pair: Pair = [2, 1];
const padding: Padding = [1, 1, -1, 0];
const dtype: DType = 'float16';
const halves: Float16ArrayLike | Uint16Array = new Uint16Array(4);
const input: HostTensor = { shape: [1, 2, 2, 2], data: new Float32Array(8) };
const weight: HostTensor = { shape: [2, 1, 2, 2], data: new Float32Array(8) };
export const half: HostTensor = { shape: [4], data: halves, dtype };
export const options: ConvTranspose2dOptions = { stride: pair, padding, activation: 'gelu', weightLayout: 'HWOI' };

// @ts-expect-error -- no stride; an error here shows that these types are not any
export const refused: Pair = 'wide';

export async function layer(gpu: GPUDevice, signal: AbortSignal): Promise<HostTensor> {
  const device: Device = await requestDevice({
    fallback: 'cpu',
    onFallback: (reason: string) => {
      console.warn(reason);
    },
  });
  const conv = new ConvTranspose2d(2, 1, 3, { stride: 2, bias: false, dtype: 'float32', seed: 1, device });
  conv.loadStateDict({ weight });
  const call: Call = { outputSize: [5, 5], signal };
  const plan: Plan = await conv.prepare(input.shape, call);
  const positions: number = plan.phases[0]?.positions[1] ?? plan.splits;
  const encoder: GPUCommandEncoder = gpu.createCommandEncoder({
    label: `${plan.kernel}: ${plan.reason}, ${positions}`,
  });
  const output: GpuTensor = conv.encode(encoder, upload(gpu, input));
  gpu.queue.submit([encoder.finish()]);
  const result = await download(gpu, output);
  const state: { weight: HostTensor; bias?: HostTensor } = await conv.stateDict();
  conv.destroy();
  return state.bias ?? result;
}

export async function functions(): Promise<readonly number[]> {
  const reference: { shape: readonly number[]; data: Float64Array } = convTranspose2dReference(input, weight, null);
  const keras = fromKeras({ inputShape: [1, 4, 4, 1], kernelShape: [3, 3, 1, 1], strides: 2, padding: 'same' });
  const { shape } = await convTranspose2d(input, bilinearWeight(2, 4), null, {
    ...keras,
    stride: 2,
    groups: 2,
    device: 'cpu',
  });
  const importers = [fromCaffe, fromMxnet, fromOnnx, fromTensorFlow, fromWebNN].map((importer) => importer.name);
  return [...shape, ...reference.shape, ...outputShape(input.shape, weight.shape), importers.length];
}

export async function backward(signal: AbortSignal | undefined): Promise<HostTensor> {
  const gradOutput: HostTensor = await convTranspose2d(input, weight, null, { signal, output: undefined });
  const left = undefined;
  const { gradWeight } = await convTranspose2dBackward(gradOutput, input, weight, { signal, forwardOutput: left });
  return gradWeight;
}

export async function checkpoint(file: File, conv: ConvTranspose2d): Promise<CheckpointTensor | undefined> {
  const read: Checkpoint = await readSafetensors(file, { signal: AbortSignal.timeout(1000) });
  conv.loadStateDict(read.stateDict('decoder.0', 'float16'));
  return read.tensors.get('decoder.1.weight');
}

export function picture(
  gpu: GPUDevice,
  video: HTMLVideoElement,
  canvas: OffscreenCanvas,
  texture: GPUTexture,
): GpuTensor {
  const frame: GpuTensor = imageToTensor(gpu, video, { channels: 3, mean: 0.5, std: [0.5, 0.5, 0.5] });
  tensorToCanvas(gpu, frame, canvas, { layout: 'NCHW', colorSpace: 'display-p3' });
  tensorToTexture(gpu, frame, texture);
  return textureToTensor(gpu, texture, { output: frame });
}

export function withTensorFlow(tf: TensorFlow, predict: () => void): void {
  const unregister: () => void = registerConvTranspose2d(tf);
  predict();
  unregister();
}

export function explain(
  error: ConvTranspose2dError,
): 'INVALID_ARGUMENT' | 'UNSUPPORTED' | 'NOT_READY' | 'DESTROYED' | 'OUT_OF_MEMORY' | 'DEVICE_LOST' | 'GPU_ERROR' {
  return error.code;
}
