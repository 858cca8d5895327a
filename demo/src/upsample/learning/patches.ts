import type { HostTensor } from 'webgpu-conv-transpose2d';
import { makeBreather } from '../../work.ts';
import type { UpsampleLayer } from '../kernels.ts';
import { CHANNELS, clamp, valueAt, type Pixels } from '../pixels.ts';

/** Pixels on a side of a patch, a multiple of every scale. */
export const PATCH = 48;
/** Most patches to learn from, and as many to be held back. */
const MOST = 24;

type Values = HostTensor & { readonly data: Float32Array };

/**
 * Patches of a picture, each colour by itself, as differences from the patch's mean, where white is one more than black.
 * For a kernel that keeps a flat picture flat the mean does not matter, and without it much fewer steps are needed.
 */
export interface Examples {
  readonly count: number;
  /** As a camera of lower resolution sees them, with the layer's halo: (3 · count, 1, small + 2 · halo, small + 2 · halo). */
  readonly small: Values;
  /** What the layer should make of them: (3 · count, 1, PATCH, PATCH). */
  readonly large: Values;
  /** (3 · count) */
  readonly means: Float32Array;
}

interface Place {
  readonly top: number;
  readonly left: number;
}

/**
 * Cuts a picture into patches like a chessboard: those of one colour are learned from, those of the other are held back.
 * @throws Error, in plain words, when the picture has no two patches
 */
export async function examplesOf(
  pixels: Pixels,
  layer: UpsampleLayer,
  signal: AbortSignal,
): Promise<{ learning: Examples; held: Examples }> {
  const places: [Place[], Place[]] = [[], []];
  for (let row = 0; (row + 1) * PATCH <= pixels.height; row++) {
    for (let column = 0; (column + 1) * PATCH <= pixels.width; column++) {
      places[(row + column) % 2 === 0 ? 0 : 1].push({ top: row * PATCH, left: column * PATCH });
    }
  }
  if (places[1].length === 0) {
    throw new Error(`This picture is too small to learn from. It takes ${2 * PATCH} × ${PATCH} pixels at least.`);
  }
  return {
    learning: await cut(pixels, layer, spread(places[0]), signal),
    held: await cut(pixels, layer, spread(places[1]), signal),
  };
}

/** Some of the places, from all over. */
function spread(places: readonly Place[]): Place[] {
  const step = Math.max(1, places.length / MOST);
  return places.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
}

async function cut(
  pixels: Pixels,
  { stride, halo }: UpsampleLayer,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<Examples> {
  const side = PATCH / stride + 2 * halo;
  const small = new Float32Array(CHANNELS * places.length * side * side);
  const large = new Float32Array(CHANNELS * places.length * PATCH * PATCH);
  const [rows, columns] = [Math.floor(pixels.height / stride), Math.floor(pixels.width / stride)];
  const means = new Float32Array(CHANNELS * places.length);
  const breathe = makeBreather();
  let [toSmall, toLarge, toMeans] = [0, 0, 0];
  for (const { top, left } of places) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      const level = (row: number, column: number): number => valueAt(pixels, channel, row, column) / 255;
      const middle = mean(level, PATCH, top / PATCH, left / PATCH);
      means[toMeans++] = middle;
      for (let i = 0; i < PATCH * PATCH; i++) {
        large[toLarge++] = level(top + Math.floor(i / PATCH), left + (i % PATCH)) - middle;
      }
      for (let i = 0; i < side * side; i++) {
        // Beyond the small picture, its edge is repeated.
        const row = clamp(top / stride + Math.floor(i / side) - halo, rows - 1);
        const column = clamp(left / stride + (i % side) - halo, columns - 1);
        small[toSmall++] = mean(level, stride, row, column) - middle;
      }
    }
    await breathe();
    signal.throwIfAborted();
  }
  return {
    ...{ count: places.length, means },
    small: { shape: [CHANNELS * places.length, 1, side, side], data: small },
    large: { shape: [CHANNELS * places.length, 1, PATCH, PATCH], data: large },
  };
}

/** The patch of that index, of values such as `large`'s, as a picture: all but a margin of `margin` pixels. */
export function patchOf(values: Float32Array, { means }: Examples, index: number, margin: number): Pixels {
  const side = PATCH - 2 * margin;
  const data = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let channel = 0; channel < CHANNELS; channel++) {
    const plane = CHANNELS * index + channel;
    for (let i = 0; i < side * side; i++) {
      const at = (Math.floor(i / side) + margin) * PATCH + (i % side) + margin;
      data[4 * i + channel] = 255 * ((values[plane * PATCH * PATCH + at] ?? NaN) + (means[plane] ?? NaN));
    }
  }
  return { width: side, height: side, data };
}

/** Of one of the squares of `size` × `size` pixels that a picture is cut into. */
function mean(level: (row: number, column: number) => number, size: number, row: number, column: number): number {
  let sum = 0;
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) sum += level(row * size + y, column * size + x);
  return sum / (size * size);
}
