import type { Size } from './view-transform.ts';

/** Longest side of the small copy that is shown while zoomed out. */
const PREVIEW_SIDE = 2048;

/** Rows of the band above that a band repeats, so that scaled bands leave no seam: more than one pixel of the small copy. */
export const OVERLAP = 16;

/**
 * A picture that comes band by band, top to bottom. Held as one bitmap a band, since a single canvas of that size is more than
 * some browsers allow and holds the page up when it is drawn, and as a small copy that is quick to draw.
 */
export class Bands {
  #bands: { readonly bitmap: ImageBitmap; readonly top: number }[] = [];
  readonly #preview: CanvasRenderingContext2D;
  readonly #previewZoom: number;

  constructor({ width, height }: Size) {
    this.#previewZoom = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil(width * this.#previewZoom);
    canvas.height = Math.ceil(height * this.#previewZoom);
    this.#preview = context2d(canvas);
    this.#preview.imageSmoothingQuality = 'high';
    this.#preview.scale(this.#previewZoom, this.#previewZoom);
  }

  /** Appends a band, whose rows begin at the picture's row `top`; the first `OVERLAP` of them are there already. */
  async add(rows: ImageData, top: number): Promise<void> {
    const bitmap = await createImageBitmap(rows);
    this.#bands.push({ bitmap, top });
    this.#preview.drawImage(bitmap, 0, top);
  }

  /** Draws the bands that are there; the context maps picture pixels to screen pixels at `zoom`. */
  draw(context: CanvasRenderingContext2D, zoom: number): void {
    if (this.#bands.length === 0) return;
    if (zoom <= this.#previewZoom) {
      const { canvas } = this.#preview;
      context.drawImage(canvas, 0, 0, canvas.width / this.#previewZoom, canvas.height / this.#previewZoom);
      return;
    }
    for (const { bitmap, top } of this.#bands) context.drawImage(bitmap, 0, top);
  }

  /** Gives the memory back; there is nothing to draw any more. */
  close(): void {
    for (const { bitmap } of this.#bands) bitmap.close();
    this.#bands = [];
    this.#preview.canvas.width = 0;
  }
}

export function context2d(
  canvas: HTMLCanvasElement,
  settings?: CanvasRenderingContext2DSettings,
): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', settings);
  if (!context) throw new Error('This browser gives the page no canvas to draw on.');
  return context;
}
