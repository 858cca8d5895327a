/** One number for both axes, or (height, width). */
export type Pair = number | readonly [height: number, width: number];

/** PyTorch's padding, or the four sides; a negative side adds rows or columns beyond the full result. */
export type Padding = Pair | readonly [top: number, left: number, bottom: number, right: number];

/** Where a layer runs: a WebGPU device, or the CPU. */
export type Device = GPUDevice | 'cpu';

/** The element type of a tensor as it is stored; sums are float32 always. */
export type DType = 'float32' | 'float16';

/** The order of input's and output's axes: N batch, C channels, H height, W width. */
export type Layout = 'NCHW' | 'NHWC';
/** The order of the weight's axes: I input channels, O output channels of one group, H and W the kernel's height and width. */
export type WeightLayout = 'IOHW' | 'HWOI' | 'OHWI';
/** The function that is fused into the store of each output. */
export type Activation = 'none' | 'relu' | 'relu6' | 'leaky-relu' | 'sigmoid' | 'tanh' | 'gelu' | 'silu';
/** In the order of the shaders' ACTIVATION, and of assembly/activation.ts. */
export const ACTIVATIONS: readonly Activation[] = [
  'none',
  'relu',
  'relu6',
  'leaky-relu',
  'sigmoid',
  'tanh',
  'gelu',
  'silu',
];

/** The part of `Float16Array` that is used, so that these types compile without it. */
export interface Float16ArrayLike {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly BYTES_PER_ELEMENT: number;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly length: number;
  [index: number]: number;
}

/** A tensor in memory, row-major. A `Uint16Array` holds float16 bit patterns and needs `dtype: 'float16'`. */
export interface HostTensor {
  /** In the layout's order. */
  readonly shape: readonly number[];
  /** As many elements as the shape has. */
  readonly data: Float32Array | Uint16Array | Float16ArrayLike;
  /** Left out: what `data` holds. */
  readonly dtype?: DType;
}

/** A tensor in a GPU buffer, row-major from `offset` on. The buffer may be larger; its usage includes STORAGE. */
export interface GpuTensor {
  /** In the layout's order. */
  readonly shape: readonly number[];
  /** Of the layer's device. */
  readonly buffer: GPUBuffer;
  /** 'float32' when left out. */
  readonly dtype?: DType;
  /** In bytes, a multiple of the device's `minStorageBufferOffsetAlignment`; 0 when left out. */
  readonly offset?: number;
}

/** `torch.nn.ConvTranspose2d`'s parameters, camelCased, and what other frameworks add. `undefined` means left out. */
export interface ConvTranspose2dOptions {
  /** Distance between the outputs of neighbouring inputs. Default 1. */
  stride?: Pair | undefined;
  /** Rows and columns cropped off the full result. Default 0. A pair is PyTorch's, at least 0; four numbers may be negative. */
  padding?: Padding | undefined;
  /** Rows and columns added at the bottom and the right; smaller than stride or dilation on that axis. Default 0. */
  outputPadding?: Pair | undefined;
  /** PyTorch's `output_size`: the size asked for; `outputPadding` is then ignored. */
  outputSize?: Pair | undefined;
  /** Divides both channel counts. Default 1. */
  groups?: number | undefined;
  /** Distance between kernel taps. Default 1. */
  dilation?: Pair | undefined;
  /** Of input and output. Default 'NCHW'. */
  layout?: Layout | undefined;
  /** I = all input channels, O = output channels of one group. Default 'IOHW'. */
  weightLayout?: WeightLayout | undefined;
  /** Applied to each output as it is stored; 'gelu' is the tanh form. Default 'none'. */
  activation?: Activation | undefined;
  /** Of 'leaky-relu'. Default 0.01. */
  negativeSlope?: number | undefined;
  /** Left out: the shared default, for which `requestDevice()` is asked once per page, at first use. */
  device?: Device | undefined;
  /**
   * Whether calls from host to host on a GPU are checked: a sample of outputs is computed again on the CPU. 'always' checks each
   * call, 'sample' the first of each shape and then one of 64. A kernel that is caught is set aside for the session, and the
   * call repeated with another. Default 'off'.
   */
  verify?: 'off' | 'sample' | 'always' | undefined;
  /** Told of each kernel that `verify` catches. Left out: `console.warn`. */
  onMismatch?: ((mismatch: Mismatch) => void) | undefined;
}

/** A kernel that computed a wrong number, as `verify` found it. */
export interface Mismatch {
  readonly kernel: string;
  /** What the adapter says of itself; as little as '' in some browsers. */
  readonly adapter: string;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  /** Of the output's data. */
  readonly index: number;
  readonly value: number;
  readonly expected: number;
  /** How far from `expected` rounding can have led. */
  readonly bound: number;
  /** All of it in a sentence. */
  readonly message: string;
}

/** What the constructor takes beside `ConvTranspose2dOptions`. */
export interface LayerOptions {
  /** Whether the layer has a bias. Default true. */
  bias?: boolean | undefined;
  /** Of weight, bias, input and output. Default 'float32'. */
  dtype?: DType | undefined;
  /** Of the initial values; an integer. Left out: a random one. */
  seed?: number | undefined;
}

/** What a single call may say. */
export interface Call {
  /** Wins over the layer's own `outputSize`. */
  outputSize?: Pair | undefined;
  /** Aborts the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Written and returned by a call from host to host. */
  output?: HostTensor | undefined;
}

/** A layer's parameters. `weight` is in the layer's `weightLayout`. */
export interface StateDict<Tensor = HostTensor> {
  readonly weight: Tensor;
  readonly bias?: Tensor | undefined;
}

/** One residue class of output positions modulo the stride, and the kernel taps that reach it. */
export interface Phase {
  /** (output row + top padding) mod stride, and the same of the column. */
  readonly phase: readonly [number, number];
  /** Rows and columns of kernel taps. */
  readonly taps: readonly [number, number];
  /** Rows and columns of output positions. */
  readonly positions: readonly [number, number];
}

/** One compute dispatch of a call. */
export interface Dispatch {
  readonly kernel: string;
  /** Along x, y and z. */
  readonly workgroups: readonly [number, number, number];
}

/** How a call will run: frozen plain data. */
export interface Plan {
  /** The kernel that does the work. */
  readonly kernel: string;
  /** Why this kernel, on this device. */
  readonly reason: string;
  /** 'assumed': no device is known yet; WebGPU's default limits and no features were taken. */
  readonly device: 'webgpu' | 'cpu' | 'assumed';
  /** In the layout's order. */
  readonly outputShape: readonly number[];
  /** Those that have outputs or taps, row by row. */
  readonly phases: readonly Phase[];
  /** In the order in which they run. */
  readonly dispatches: readonly Dispatch[];
  /** Two per multiplication of a tap with a real input; inserted zeros and padding do not count. */
  readonly usefulFlops: number;
  /** What a call occupies on its device, in bytes. */
  readonly bytes: {
    readonly input: number;
    /** As a tensor. A GPU has it packed: float32, the channels of each group padded to whole fours, once or twice. */
    readonly weight: number;
    readonly output: number;
    /** Taken beside these while the call runs. */
    readonly scratch: number;
  };
  /** 1, or how many parts the device's limits forced. */
  readonly splits: number;
}
