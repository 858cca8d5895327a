import type { HostTensor } from 'webgpu-conv-transpose2d';
import type { Problem } from '../../../bench/layer.ts';

/** Outputs of a layer that are computed again. */
export const CHECKED = 64;

export interface Check {
  /** Largest difference of an output from the one in 64-bit arithmetic. */
  readonly largest: number;
  /** Whether rounding to 32 bits explains every difference. */
  readonly right: boolean;
}

/** Spreads positions evenly without repeating soon: the step is irrational (the golden ratio's). */
const STEP = 0.6180339887498949;
const UNIT_ROUNDOFF = 2 ** -24;

/** Compares outputs spread over a result with the definition, in float64. */
export function checkSamples(problem: Problem, { data, shape }: HostTensor): Check {
  const total = problem.outputShape.reduce((product, extent) => product * extent, 1);
  if (shape.join() !== problem.outputShape.join()) return { largest: NaN, right: false };
  let largest = 0;
  let right = true;
  for (let i = 0; i < CHECKED; i++) {
    const at = Math.floor(((i * STEP) % 1) * total);
    const { value, bound } = outputAt(problem, at);
    const difference = Math.abs(Number(data[at]) - value);
    largest = Math.max(largest, difference);
    right &&= difference <= bound;
  }
  return { largest, right };
}

/**
 * One output, by its index, in float64: the sum over taps and channels of input · weight, and what rounding to 32 bits
 * can make of it, γ_K · Σ|input · weight| with K operations.
 */
export function outputAt(
  { layer, outputShape, weightShape, input, weight }: Problem,
  index: number,
): { readonly value: number; readonly bound: number } {
  const [, channels, height, width] = layer.input;
  const [, outChannels, outHeight, outWidth] = outputShape;
  const [, outPerGroup, kernelHeight, kernelWidth] = weightShape;
  const column = index % outWidth;
  const row = Math.floor(index / outWidth) % outHeight;
  const channel = Math.floor(index / (outWidth * outHeight)) % outChannels;
  const batch = Math.floor(index / (outWidth * outHeight * outChannels));
  const perGroup = channels / layer.groups;
  const first = Math.floor(channel / outPerGroup) * perGroup;
  /** The input position that a tap brings to the output's, or none. */
  const origin = (axis: 0 | 1, at: number, tap: number, extent: number): number | undefined => {
    const place = (at + layer.padding[axis] - tap * layer.dilation[axis]) / layer.stride[axis];
    return Number.isInteger(place) && place >= 0 && place < extent ? place : undefined;
  };
  let value = 0;
  let sum = 0;
  let operations = 1;
  for (let ky = 0; ky < kernelHeight; ky++) {
    const y = origin(0, row, ky, height);
    if (y === undefined) continue;
    for (let kx = 0; kx < kernelWidth; kx++) {
      const x = origin(1, column, kx, width);
      if (x === undefined) continue;
      operations += perGroup;
      for (let c = first; c < first + perGroup; c++) {
        const from = input[((batch * channels + c) * height + y) * width + x] ?? NaN;
        const by = weight[((c * outPerGroup + (channel % outPerGroup)) * kernelHeight + ky) * kernelWidth + kx] ?? NaN;
        value += from * by;
        sum += Math.abs(from * by);
      }
    }
  }
  const rounding = operations * UNIT_ROUNDOFF;
  return { value, bound: (rounding / (1 - rounding)) * sum };
}
