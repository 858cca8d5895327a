import { context2d } from './bands.ts';
import type { Drawable } from './compare-view.ts';
import type { Pixels } from './pixels.ts';
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
