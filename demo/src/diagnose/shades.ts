/** Outputs as shades: the mean is in the middle, and twice the mean, or none of it, at the ends. */
import type { Phase } from './phases.ts';
import { WINDOW } from './flat.ts';

/** From 0, dark, to 1, light. */
export type Shade = (value: number) => number;

export function shadeOf(phases: readonly Phase[]): Shade {
  const mean = phases.reduce((total, { sum }) => total + sum, 0) / phases.length;
  const size = phases.reduce((total, { sum }) => total + Math.abs(sum), 0) / phases.length || 1;
  // In proportion to the size, so that rounding does not become a picture.
  return (value) => Math.min(Math.max(0.5 + (value - mean) / (2 * size), 0), 1);
}

/** The grey of a shade; neither end is quite black or white. */
export const greyOf = (shade: number): number => Math.round(28 + 206 * shade);

/** Paints the outputs as seen from above, a pixel each; the page enlarges them without smoothing. */
export function paintShades(canvas: HTMLCanvasElement, values: ArrayLike<number>, shade: Shade): void {
  canvas.width = WINDOW;
  canvas.height = WINDOW;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(WINDOW, WINDOW);
  for (let at = 0; at < values.length; at++) {
    const grey = greyOf(shade(values[at]!));
    image.data.set([grey, grey, grey, 255], 4 * at);
  }
  context.putImageData(image, 0, 0);
}
