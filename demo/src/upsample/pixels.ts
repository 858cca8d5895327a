import type { HostTensor } from 'webgpu-conv-transpose2d';
import type { Strip } from './strips.ts';

/** What the computation needs of an ImageData: RGBA bytes, row by row. The picture is opaque. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** Red, green and blue. */
export const CHANNELS = 3;

export const clamp = (value: number, last: number): number => Math.min(Math.max(value, 0), last);

/**
 * One value of a picture, 0 to 255. Positions outside repeat the nearest edge pixel, so that the border of the
 * result is not darkened by zeros.
 */
export function valueAt({ data, width, height }: Pixels, channel: number, row: number, column: number): number {
  return data[4 * (clamp(row, height - 1) * width + clamp(column, width - 1)) + channel] ?? NaN;
}

/** The strip as a tensor (1, 3, rows + 2 · halo, width + 2 · halo). */
export function stripToTensor(
  pixels: Pixels,
  strip: Strip,
  halo: number,
): HostTensor & { readonly data: Float32Array } {
  const rows = strip.end - strip.start + 2 * halo;
  const columns = pixels.width + 2 * halo;
  const data = new Float32Array(CHANNELS * rows * columns);
  let at = 0;
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        data[at++] = valueAt(pixels, channel, strip.start + row - halo, column - halo);
      }
    }
  }
  return { shape: [1, CHANNELS, rows, columns], data };
}

/** Writes a result (1, 3, height, width) as opaque RGBA bytes into `rgba` from byte `offset` on. */
export function tensorToRgba({ shape, data }: HostTensor, rgba: Uint8ClampedArray, offset: number): void {
  const [, , height = 0, width = 0] = shape;
  const plane = height * width;
  for (let i = 0; i < plane; i++) {
    const at = offset + 4 * i;
    rgba[at] = data[i] ?? NaN;
    rgba[at + 1] = data[plane + i] ?? NaN;
    rgba[at + 2] = data[2 * plane + i] ?? NaN;
    rgba[at + 3] = 255;
  }
}
