import type { HostTensor } from 'webgpu-conv-transpose2d';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { paddingOf, type UpsampleLayer } from './kernels.ts';
import { makeBreather } from '../work.ts';
import { CHANNELS, valueAt, type Pixels } from './pixels.ts';

export interface Sample {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

export const SAMPLE_COUNT = 4096;

/** Spreads columns evenly without repeating soon: the step is irrational (the plastic number's inverse). */
const COLUMN_STEP = 0.7548776662466927;

/** `count` outputs spread over a result, ordered by row; all of them where there are no more than that. */
export function chooseSamples(channels: number, height: number, width: number, count: number = SAMPLE_COUNT): Sample[] {
  const total = channels * height * width;
  if (total <= count) {
    return Array.from({ length: total }, (_, i) => ({
      row: Math.floor(i / (width * channels)),
      column: Math.floor(i / channels) % width,
      channel: i % channels,
    }));
  }
  return Array.from({ length: count }, (_, i) => ({
    row: Math.floor(((i + 0.5) * height) / count),
    column: Math.floor(((i * COLUMN_STEP) % 1) * width),
    channel: i % channels,
  }));
}

/**
 * Makes a function that gives any output of the enlargement in float64: the reference transposed convolution, run
 * on the input pixels around it that reach it. It reads the picture itself and knows nothing of strips.
 */
export function localReference(pixels: Pixels, layer: UpsampleLayer): (sample: Sample) => number {
  const { kernel, stride, halo } = layer;
  const padding = paddingOf(layer);
  const side = 1 + 2 * halo;
  const planes = Array.from({ length: CHANNELS }, (_, channel) => ({
    shape: [1, 1, kernel, kernel],
    data: Float32Array.from({ length: kernel ** 2 }, (_, i) => Number(layer.weight.data[channel * kernel ** 2 + i])),
  }));
  const window = { shape: [1, 1, side, side], data: new Float32Array(side * side) };
  return ({ channel, row, column }) => {
    const top = Math.floor(row / stride) - halo;
    const left = Math.floor(column / stride) - halo;
    for (let i = 0; i < side * side; i++) {
      window.data[i] = valueAt(pixels, channel, top + Math.floor(i / side), left + (i % side));
    }
    const { data } = convTranspose2dReference(window, planes[channel] ?? window, null, { stride, padding });
    return data[(row % stride) * stride + (column % stride)] ?? NaN;
  };
}

/** Compares the samples of a picture's enlargement, strip by strip as they come, with the reference. */
export class SampleCheck {
  /** Largest difference so far, in colour levels (0 to 255). */
  largest = 0;
  readonly count: number;
  readonly #samples: readonly Sample[];
  readonly #reference: (sample: Sample) => number;
  readonly #breathe = makeBreather();
  #next = 0;

  constructor(pixels: Pixels, layer: UpsampleLayer, count: number = SAMPLE_COUNT) {
    this.#samples = chooseSamples(CHANNELS, layer.stride * pixels.height, layer.stride * pixels.width, count);
    this.count = this.#samples.length;
    this.#reference = localReference(pixels, layer);
  }

  /** The next strip (1, 3, height, width), whose first row is row `top` of the whole. The page gets its turn meanwhile. */
  async compare({ shape, data }: HostTensor, top: number): Promise<void> {
    const [, , height = 0, width = 0] = shape;
    for (; this.#next < this.#samples.length; this.#next++) {
      const sample = this.#samples[this.#next];
      if (!sample || sample.row >= top + height) return;
      await this.#breathe();
      const { channel, row, column } = sample;
      const value = data[(channel * height + row - top) * width + column] ?? NaN;
      const difference = Math.abs(value - this.#reference(sample));
      // Written so that a NaN, once seen, stays.
      if (!(difference <= this.largest)) this.largest = Number.isNaN(this.largest) ? NaN : difference;
    }
  }
}
