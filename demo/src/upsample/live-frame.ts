import { context2d } from './bands.ts';
import type { Drawable } from './compare-view.ts';
import type { Pixels } from './pixels.ts';
import type { SampleCheck } from './sample-check.ts';
import type { Size } from './view-transform.ts';

/** What a video shows now, as it goes into the enlargement: opaque, as pictures are. */
export class LiveFrame implements Drawable, Size {
  readonly width: number;
  readonly height: number;
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #scale: number;
  #pixels: Pixels | undefined;

  /** @param isRead whether the pixels of every frame will be asked for */
  constructor(video: HTMLVideoElement, { width, height }: Size, scale: number, isRead: boolean) {
    this.width = width;
    this.height = height;
    this.#scale = scale;
    this.canvas = document.createElement('canvas');
    this.canvas.width = width;
    this.canvas.height = height;
    this.#context = context2d(this.canvas, { willReadFrequently: isRead });
    this.#context.fillStyle = '#fff';
    this.#context.fillRect(0, 0, width, height);
    this.#context.imageSmoothingQuality = 'high';
    this.#context.drawImage(video, 0, 0, width, height);
  }

  get pixels(): Pixels {
    return (this.#pixels ??= this.#context.getImageData(0, 0, this.width, this.height));
  }

  /** As large as the result, with its pixels as the squares that they are. */
  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.imageSmoothingEnabled = zoom * this.#scale < 1;
    context.drawImage(this.canvas, 0, 0, this.width * this.#scale, this.height * this.#scale);
  }
}

/** The enlarged frame, overwritten by each next one. */
export class LiveResult implements Drawable, Size {
  readonly width: number;
  readonly height: number;
  readonly #context: CanvasRenderingContext2D;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    this.#context = context2d(canvas);
  }

  putRows(image: ImageData, top: number): void {
    this.#context.putImageData(image, 0, top);
  }

  put(image: ImageBitmap): void {
    this.#context.drawImage(image, 0, 0);
    image.close();
  }

  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.imageSmoothingEnabled = zoom < 2;
    context.drawImage(this.#context.canvas, 0, 0);
  }
}

/** A way to enlarge frame after frame. */
export interface FrameUpsampler {
  /** Every how many frames a check is made. */
  readonly checkEvery: number;
  /** Roundings of a value beside those of the layer. */
  readonly extraRoundings: number;
  /** Enlarges a frame into `after`, and has `check` compare it; resolves to the milliseconds of the layer. */
  run(before: LiveFrame, after: LiveResult, check: SampleCheck | undefined, signal: AbortSignal): Promise<number>;
  destroy(): void;
}
