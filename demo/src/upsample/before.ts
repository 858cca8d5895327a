import { makeBreather } from '../work.ts';
import { Bands, context2d, OVERLAP } from './bands.ts';
import type { Drawable } from './compare-view.ts';
import type { Pixels } from './pixels.ts';
import type { Size } from './view-transform.ts';

/** Pixels that are drawn and read in one go. */
const BAND_PIXELS = 2 ** 19;

/** The picture as it goes into the enlargement: opaque (see-through parts on white), at the size given. */
export class Before implements Drawable, Size {
  readonly width: number;
  readonly height: number;
  readonly pixels: Pixels;
  readonly #scale: number;
  readonly #bands: Bands;

  private constructor({ width, height }: Size, scale: number) {
    this.width = width;
    this.height = height;
    this.pixels = { width, height, data: new Uint8ClampedArray(4 * width * height) };
    this.#scale = scale;
    this.#bands = new Bands(this);
  }

  /** Reads a picture band by band, so that a large one does not hold the page up; it will be shown `scale` times as large. */
  static async of(source: CanvasImageSource, size: Size, scale: number): Promise<Before> {
    const { width, height } = size;
    const before = new Before(size, scale);
    const rows = Math.max(1, Math.floor(BAND_PIXELS / width));
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = Math.min(height, rows + OVERLAP);
    const context = context2d(canvas, { willReadFrequently: true });
    context.fillStyle = '#fff';
    context.imageSmoothingQuality = 'high';
    const breathe = makeBreather();
    for (let top = 0; top < height; top += rows) {
      const from = Math.max(0, top - OVERLAP);
      const to = Math.min(height, top + rows);
      context.fillRect(0, 0, width, to - from);
      context.drawImage(source, 0, -from, width, height);
      const band = context.getImageData(0, 0, width, to - from);
      before.pixels.data.set(band.data.subarray(4 * width * (top - from)), 4 * width * top);
      await before.#bands.add(band, from);
      await breathe();
    }
    return before;
  }

  /** As large as the result, with its pixels as the squares that they are. */
  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.save();
    context.scale(this.#scale, this.#scale);
    context.imageSmoothingEnabled = zoom * this.#scale < 1;
    this.#bands.draw(context, zoom * this.#scale);
    context.restore();
  }

  close(): void {
    this.#bands.close();
  }
}
