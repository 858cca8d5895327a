import { bilinearWeight, type HostTensor } from 'webgpu-conv-transpose2d';
import { CHANNELS } from './pixels.ts';

/** Factors that the view offers. */
export const SCALES = [2, 3, 4] as const;
export type Scale = (typeof SCALES)[number];

export const KERNEL_IDS = ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const;
export type KernelId = (typeof KERNEL_IDS)[number];

/** What a visitor can choose: a kernel that is known, or one that is learned from a picture. */
export const KERNEL_CHOICES = [...KERNEL_IDS, 'learned'] as const;
export type KernelChoice = (typeof KERNEL_CHOICES)[number];

export interface Kernel {
  readonly name: string;
  /** For someone who has never heard its name. */
  readonly about: string;
  /** Input pixels on each side of a place that have a say in its value. */
  readonly reach: number;
  /** The say of an input pixel at that distance, in input pixels. */
  readonly profile: (distance: number) => number;
  /** Where its numbers come from. */
  readonly source: string;
}

/** What a visitor is told of a kernel that is learned. */
export const LEARNED: Pick<Kernel, 'about' | 'source'> = {
  about: 'Its weights are not a formula’s: they are learned from a picture.',
  source: 'learned, as in examples/super-resolution.ts',
};

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Of the family of cubics that interpolate, the one that is exact for parabolas (Catmull-Rom). */
function cubic(x: number): number {
  return x < 1 ? 1.5 * x ** 3 - 2.5 * x ** 2 + 1 : -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2;
}

export const KERNELS: Readonly<Record<KernelId, Kernel>> = {
  nearest: {
    name: 'Nearest',
    about: 'Every pixel becomes a square of its colour.',
    reach: 0.5,
    profile: () => 1,
    source: 'a square of ones',
  },
  bilinear: {
    name: 'Bilinear',
    about: 'A tent: highest in the middle and falling off evenly to the sides. Smooth, and a little soft.',
    reach: 1,
    profile: (x) => 1 - x,
    source: 'linear interpolation in both directions',
  },
  bicubic: {
    name: 'Bicubic',
    about: 'A hill with a shallow ditch around it: the negative weights there keep edges crisp.',
    reach: 2,
    profile: cubic,
    source: 'Catmull-Rom’s cubic in both directions',
  },
  lanczos: {
    name: 'Lanczos',
    about: 'A hill with two rings of ripples around it: the sharpest, with a faint echo beside hard edges.',
    reach: 3,
    profile: (x) => sinc(x) * sinc(x / 3),
    source: 'sinc(x) · sinc(x / 3) in both directions',
  },
};

/**
 * A depthwise transposed convolution that enlarges by `stride`, for an input that carries a halo of `halo` pixels on
 * every side: n + 2 · halo pixels in give exactly stride · n out. Everything that computes takes this and asks no
 * further, so a kernel with weights of another origin needs to make one, and no more.
 */
export interface UpsampleLayer {
  readonly kernel: number;
  readonly stride: Scale;
  /** Rows and columns cropped on each side for the kernel alone; the halo's own output comes on top. */
  readonly crop: number;
  readonly halo: number;
  /** (3, 1, kernel, kernel), the same for every colour. */
  readonly weight: HostTensor;
}

/** What the layer's padding is with the halo: its output, `stride` rows and columns a pixel, is cropped as well. */
export function paddingOf({ crop, halo, stride }: UpsampleLayer): number {
  return crop + halo * stride;
}

/**
 * The layer of a kernel. Tap k of K lies (k − (K − 1)/2) / scale input pixels from its input: K is the number of taps
 * within reach, and the crop of (K − scale)/2 puts the first output where the first input's square begins.
 */
export function layerOf(id: KernelId, scale: Scale): UpsampleLayer {
  const { reach } = KERNELS[id];
  const kernel = scale % 2 === 0 ? 2 * Math.floor(reach * scale) : 2 * Math.ceil(reach * scale) - 1;
  return {
    kernel,
    stride: scale,
    crop: (kernel - scale) / 2,
    halo: Math.floor(reach),
    weight: id === 'bilinear' ? bilinearWeight(CHANNELS, kernel) : separable(taps(id, scale, kernel)),
  };
}

/** Where learning starts: bilinear, in the middle of a kernel as large as bicubic's. */
export function layerToLearn(scale: Scale): UpsampleLayer {
  const layer = layerOf('bicubic', scale);
  const tent = layerOf('bilinear', scale);
  const margin = (layer.kernel - tent.kernel) / 2;
  const plane = new Float32Array(layer.kernel ** 2);
  for (let row = 0; row < tent.kernel; row++) {
    const line = Array.from({ length: tent.kernel }, (_, i) => Number(tent.weight.data[row * tent.kernel + i]));
    plane.set(line, (row + margin) * layer.kernel + margin);
  }
  return withPlane(layer, plane);
}

/** The same layer with other weights: a plane of kernel × kernel. */
export function withPlane(layer: UpsampleLayer, plane: ArrayLike<number>): UpsampleLayer {
  return { ...layer, weight: forEveryColour(plane, layer.kernel) };
}

/** Weights along one axis. Those that meet in one output add up to one, so that a flat picture stays flat. */
function taps(id: KernelId, scale: Scale, kernel: number): number[] {
  const raw = Array.from({ length: kernel }, (_, k) => KERNELS[id].profile(Math.abs(k - (kernel - 1) / 2) / scale));
  const sums = Array.from({ length: scale }, (_, phase) =>
    raw.reduce((sum, w, k) => sum + (k % scale === phase ? w : 0), 0),
  );
  return raw.map((w, k) => w / (sums[k % scale] ?? NaN));
}

function separable(axis: readonly number[]): HostTensor {
  const plane = axis.flatMap((vertical) => axis.map((horizontal) => vertical * horizontal));
  return forEveryColour(plane, axis.length);
}

function forEveryColour(plane: ArrayLike<number>, kernel: number): HostTensor {
  const data = new Float32Array(CHANNELS * plane.length);
  for (let channel = 0; channel < CHANNELS; channel++) data.set(plane, channel * plane.length);
  return { shape: [CHANNELS, 1, kernel, kernel], data };
}

const UNIT_ROUNDOFF = 2 ** -24;

/** What rounding in 32-bit arithmetic can make of an output: as many products of values up to 255 as meet there, and their sum. */
export function roundingBound({ kernel, stride, weight }: UpsampleLayer, extraRoundings = 0): number {
  const operations = (Math.ceil(kernel / stride) ** 2 + 1 + extraRoundings) * UNIT_ROUNDOFF;
  const sums = new Float64Array(stride * stride);
  for (let i = 0; i < kernel * kernel; i++) {
    const phase = (Math.floor(i / kernel) % stride) * stride + ((i % kernel) % stride);
    sums[phase] = (sums[phase] ?? 0) + Math.abs(Number(weight.data[i]));
  }
  return (operations / (1 - operations)) * 255 * Math.max(...sums);
}
