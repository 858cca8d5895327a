import type { HostTensor } from 'webgpu-conv-transpose2d';
import { tensorToRgba } from './pixels.ts';
import type { Size } from './view-transform.ts';

/** Longest side of the small copy that is shown while zoomed out. */
const PREVIEW_SIDE = 2048;
/** Rows of the strip above that a tile repeats, so that scaled tiles leave no seam: more than one preview pixel. */
const OVERLAP = 16;

interface Tile {
  readonly bitmap: ImageBitmap;
  readonly top: number;
}

/**
 * The enlarged picture, as it grows. Held as one bitmap per strip, since a single canvas of that size is more than
 * some browsers allow, and as a small copy that is quick to draw.
 */
export class Result implements Size {
  readonly width: number;
  readonly height: number;
  #tiles: Tile[] = [];
  #tail = new Uint8ClampedArray(0);
  #bottom = 0;
  #preview: CanvasRenderingContext2D;
  #previewZoom: number;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#previewZoom = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil(width * this.#previewZoom);
    canvas.height = Math.ceil(height * this.#previewZoom);
    this.#preview = context2d(canvas);
    this.#preview.imageSmoothingQuality = 'high';
    this.#preview.scale(this.#previewZoom, this.#previewZoom);
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
    const bitmap = await createImageBitmap(new ImageData(rgba, this.width));
    this.#tiles.push({ bitmap, top });
    this.#preview.drawImage(bitmap, 0, top);
  }

  /** Draws what is finished; the context maps picture pixels to screen pixels at `zoom`. */
  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.imageSmoothingEnabled = zoom < 2;
    if (zoom <= this.#previewZoom) {
      const { canvas } = this.#preview;
      context.drawImage(canvas, 0, 0, canvas.width / this.#previewZoom, canvas.height / this.#previewZoom);
      return;
    }
    for (const { bitmap, top } of this.#tiles) context.drawImage(bitmap, 0, top);
  }

  /** The whole picture as a PNG file. */
  async toPng(): Promise<Blob> {
    const canvas = document.createElement('canvas');
    canvas.width = this.width;
    canvas.height = this.height;
    const context = context2d(canvas);
    for (const { bitmap, top } of this.#tiles) context.drawImage(bitmap, 0, top);
    const blob = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve);
    });
    if (!blob) throw new Error('This browser cannot hold a picture of that size in one piece.');
    return blob;
  }

  /** Gives the memory back. */
  close(): void {
    for (const { bitmap } of this.#tiles) bitmap.close();
    this.#tiles = [];
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
