export { ConvTranspose2d } from './conv-transpose2d.ts';
export { ConvTranspose2dError, type ConvTranspose2dErrorCode } from './errors.ts';
export { convTranspose2d, outputShape } from './functions.ts';
export {
  ConvTranspose2dGradients,
  convTranspose2dBackward,
  type BackwardCall,
  type BackwardOperands,
  type BackwardResult,
  type BackwardTargets,
  type EncodedGradients,
} from './gradients.ts';
export { bilinearWeight, icnrWeight } from './initial-weights.ts';
export { download, upload } from './webgpu/buffers.ts';
export { requestDevice, type RequestDeviceOptions } from './webgpu/device.ts';
export type {
  Activation,
  Call,
  ConvTranspose2dOptions,
  Device,
  Dispatch,
  DType,
  Float16ArrayLike,
  GpuTensor,
  HostTensor,
  LayerOptions,
  Layout,
  Mismatch,
  Padding,
  Pair,
  Phase,
  Plan,
  StateDict,
  WeightLayout,
} from './types.ts';
