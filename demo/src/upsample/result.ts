import type { HostTensor } from 'webgpu-conv-transpose2d';
import { Bands, context2d, OVERLAP } from './bands.ts';
import type { Drawable } from './compare-view.ts';
import { tensorToRgba } from './pixels.ts';
import type { Size } from './view-transform.ts';

/** The enlarged picture, as it grows. */
export class Result implements Drawable, Size {
  readonly width: number;
  readonly height: number;
  readonly #bands: Bands;
  /** The last rows so far. */
  #tail = new Uint8ClampedArray(0);
  #bottom = 0;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#bands = new Bands(this);
  }

  /** Appends the next strip below those that are there. */
  async add(output: HostTensor): Promise<void> {
    const rows = output.shape[2] ?? 0;
    const rowBytes = 4 * this.width;
    const overlap = this.#tail.length / rowBytes;
    const rgba = new Uint8ClampedArray((overlap + rows) * rowBytes);
    rgba.set(this.#tail);
    tensorToRgba(output, rgba, overlap * rowBytes);
    this.#tail = rgba.slice(-Math.min(OVERLAP, overlap + rows) * rowBytes);
    const top = this.#bottom - overlap;
    this.#bottom += rows;
    await this.#bands.add(new ImageData(rgba, this.width), top);
  }

  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.imageSmoothingEnabled = zoom < 2;
    this.#bands.draw(context, zoom);
  }

  /** The whole picture as a PNG file. */
  async toPng(): Promise<Blob> {
    const canvas = document.createElement('canvas');
    canvas.width = this.width;
    canvas.height = this.height;
    this.#bands.draw(context2d(canvas), 1);
    const blob = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve);
    });
    if (!blob) throw new Error('This browser cannot hold a picture of that size in one piece.');
    return blob;
  }

  close(): void {
    this.#bands.close();
  }
}
