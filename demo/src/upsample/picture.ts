import { makeBreather } from '../work.ts';
import type { Drawable } from './compare-view.ts';
import type { Given } from './picture-input.ts';
import type { Pixels } from './pixels.ts';
import { context2d } from './result.ts';
import type { Size } from './view-transform.ts';

/** Largest result, in pixels: 256 MiB of colour. Full HD enlarged four times is half of it. */
export const MAX_RESULT_PIXELS = 2 ** 26;

/** Longest side of the small copy that is shown while zoomed out. */
const PREVIEW_SIDE = 2048;

/** Pixels that are drawn and read in one go. */
const BAND_PIXELS = 2 ** 20;

export interface Picture extends Size {
  readonly given: Given;
  readonly source: ImageBitmap;
  close(): void;
}

/** Reads a file of any format that the browser knows. */
export async function readPicture(given: Given): Promise<Picture> {
  try {
    const source = await createImageBitmap(given.blob);
    const { width, height } = source;
    const close = (): void => {
      source.close();
    };
    return { given, source, width, height, close };
  } catch {
    throw new Error(`“${given.name}” could not be read as a picture. PNG, JPEG, WebP and GIF work in every browser.`);
  }
}

/** What a video shows now, as a file. */
export async function pictureOf(video: HTMLVideoElement): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  context2d(canvas).drawImage(video, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => {
    canvas.toBlob(resolve);
  });
  if (!blob) throw new Error('This browser gave no picture of the video.');
  return blob;
}

/** The size at which a picture is enlarged: its own, or less where so many results would not fit in a page. */
export function workingSize({ width, height }: Size, scale: number, results = 1): Size {
  const shrink = Math.min(1, Math.sqrt(MAX_RESULT_PIXELS / (results * width * height * scale * scale)));
  return { width: Math.max(1, Math.floor(width * shrink)), height: Math.max(1, Math.floor(height * shrink)) };
}

/** The picture as it goes into the enlargement: opaque (see-through parts on white), at the size given. */
export class Before implements Drawable, Size {
  readonly width: number;
  readonly height: number;
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #scale: number;
  #pixels: Pixels | undefined;
  /** A small copy of a large picture, which is quick to draw. */
  readonly #preview: CanvasRenderingContext2D | undefined;

  private constructor(size: Size, scale: number, isRead: boolean) {
    this.width = size.width;
    this.height = size.height;
    this.#scale = scale;
    this.canvas = document.createElement('canvas');
    this.canvas.width = size.width;
    this.canvas.height = size.height;
    this.#context = context2d(this.canvas, { willReadFrequently: isRead });
    this.#context.fillStyle = '#fff';
    this.#context.fillRect(0, 0, size.width, size.height);
    this.#context.imageSmoothingQuality = 'high';
    const shrink = PREVIEW_SIDE / Math.max(size.width, size.height);
    if (shrink < 1) this.#preview = context2d(reduced(size, shrink));
  }

  /**
   * Draws a picture, band by band so that a large one does not hold the page up.
   * @param isRead whether its pixels will be asked for: they are then read at once, and kept
   */
  static async of(source: CanvasImageSource, size: Size, scale: number, isRead = true): Promise<Before> {
    const before = new Before(size, scale, isRead);
    const { width, height } = size;
    const data = new Uint8ClampedArray(isRead ? 4 * width * height : 0);
    const rows = Math.max(1, Math.floor(BAND_PIXELS / width));
    const breathe = makeBreather();
    for (let top = 0; top < height; top += rows) {
      drawBand(before.#context, size, top, rows, source);
      if (isRead) {
        const band = before.#context.getImageData(0, top, width, Math.min(rows, height - top));
        data.set(band.data, 4 * width * top);
      }
      await breathe();
    }
    await before.#drawPreview(rows);
    if (isRead) before.#pixels = { width, height, data };
    return before;
  }

  /** Bands overlap by more than a pixel of the copy, so that their soft edges leave no seam. */
  async #drawPreview(rows: number): Promise<void> {
    const context = this.#preview;
    if (!context) return;
    const breathe = makeBreather();
    const shrink = context.canvas.height / this.height;
    context.imageSmoothingQuality = 'high';
    context.scale(context.canvas.width / this.width, shrink);
    for (let top = 0; top < this.height; top += rows) {
      drawBand(context, this, top, rows + Math.ceil(2 / shrink), this.canvas);
      await breathe();
    }
  }

  get pixels(): Pixels {
    return (this.#pixels ??= this.#context.getImageData(0, 0, this.width, this.height));
  }

  /** As large as the result, with its pixels as the squares that they are. */
  draw(context: CanvasRenderingContext2D, zoom: number): void {
    const canvas =
      this.#preview && zoom * this.#scale * this.width <= this.#preview.canvas.width
        ? this.#preview.canvas
        : this.canvas;
    context.imageSmoothingEnabled = zoom * this.#scale < 1;
    context.drawImage(canvas, 0, 0, this.width * this.#scale, this.height * this.#scale);
  }
}

function reduced({ width, height }: Size, shrink: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(width * shrink);
  canvas.height = Math.ceil(height * shrink);
  return canvas;
}

/** Draws a horizontal band of the source, which is as large as `size`. */
function drawBand(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  top: number,
  rows: number,
  source: CanvasImageSource,
): void {
  context.save();
  context.beginPath();
  context.rect(0, top, width, rows);
  context.clip();
  context.drawImage(source, 0, 0, width, height);
  context.restore();
}
