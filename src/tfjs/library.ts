/** What is used of TensorFlow.js, structurally: the package depends on none of its types, nor on one copy of it. */

/** A tensor as kernels see it. */
export interface TensorInfo {
  dataId: object;
  shape: number[];
  dtype: 'float32' | 'int32' | 'bool' | 'complex64' | 'string';
}

/** A call of any kernel. */
export interface KernelCall {
  inputs: Record<string, TensorInfo | undefined>;
  backend: object;
  attrs?: object;
}

/** The attributes of `Conv2DBackpropInput`: `inputShape` is a transposed convolution's output's. */
export interface Attributes {
  inputShape: [number, number, number, number];
  strides: number | [number, number];
  pad: 'same' | 'valid' | number;
  dataFormat: 'NHWC' | 'NCHW';
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** A kernel and the backend that it is for. */
export interface KernelConfig {
  kernelName: string;
  backendName: string;
  /** Computes a call. */
  kernelFunc(call: KernelCall): TensorInfo | TensorInfo[];
  /** Told when a backend begins. */
  setupFunc?(backend: object): void;
  /** Told before a backend ends. */
  disposeFunc?(backend: object): void;
}

/** A forward convolution's sizes: it maps the transposed convolution's output to its input. */
export interface ConvolutionInfo {
  inHeight: number;
  inWidth: number;
  outHeight: number;
  outWidth: number;
  outShape: [number, number, number, number];
  filterHeight: number;
  filterWidth: number;
  strideHeight: number;
  strideWidth: number;
  padInfo: { top: number; left: number };
}

/** TensorFlow.js's flags, as far as they are used. */
export interface Flags {
  /** The value of a flag that is true or false. */
  getBool(flag: string): boolean;
}

/** `@tensorflow/tfjs` or `@tensorflow/tfjs-core`, as far as it is used. */
export interface TensorFlow {
  /** The kernel of that name, if the backend has one. */
  getKernel(kernelName: string, backendName: string): KernelConfig | undefined;
  /** Adds a kernel to its backend. */
  registerKernel(config: KernelConfig): void;
  /** Takes a kernel away from its backend. */
  unregisterKernel(kernelName: string, backendName: string): void;
  /** TensorFlow.js's flags. */
  env(): Flags;
  readonly backend_util: ConvolutionRules;
}

/** How TensorFlow.js reads a convolution's attributes. */
export interface ConvolutionRules {
  /** A layout by its other name. */
  convertConv2DDataFormat(dataFormat: 'NHWC' | 'NCHW'): 'channelsLast' | 'channelsFirst';
  /** All sizes of a convolution. */
  computeConv2DInfo(
    inShape: [number, number, number, number],
    filterShape: [number, number, number, number],
    strides: number | [number, number],
    dilations: number | [number, number],
    pad: Attributes['pad'],
    roundingMode: Attributes['dimRoundingMode'] | undefined,
    depthwise: boolean,
    dataFormat: 'channelsLast' | 'channelsFirst',
  ): ConvolutionInfo;
}

/** Of the WebGPU backend: its device, its tensors, and its command encoder, which collects passes until it is full. */
export interface Backend {
  readonly device: GPUDevice;
  readonly tensorMap: {
    get(dataId: object): {
      readonly dtype: TensorInfo['dtype'];
      readonly resource?: unknown;
      readonly external?: boolean;
    };
  };
  uploadToGPU(dataId: object): void;
  makeTensorInfo(shape: number[], dtype: TensorInfo['dtype']): TensorInfo;
  disposeData(dataId: object, force?: boolean): boolean;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

const METHODS = [
  'uploadToGPU',
  'makeTensorInfo',
  'disposeData',
  'ensureCommandEncoderReady',
  'endComputePassEncoder',
  'submitQueue',
] as const satisfies (keyof Backend)[];

export function isBackend(backend: object): backend is Backend {
  const given = backend as Partial<Record<keyof Backend, unknown>>;
  return (
    typeof given.device === 'object' &&
    typeof given.tensorMap === 'object' &&
    METHODS.every((name) => typeof given[name] === 'function')
  );
}
