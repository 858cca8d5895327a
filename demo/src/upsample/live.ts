import type { Device } from 'webgpu-conv-transpose2d';
import type { Drawable } from './compare-view.ts';
import type { UpsampleLayer } from './kernels.ts';
import { Before } from './picture.ts';
import { tensorToRgba } from './pixels.ts';
import { context2d } from './result.ts';
import { SampleCheck } from './sample-check.ts';
import { Upsampler } from './upsample.ts';
import type { Size } from './view-transform.ts';

/** Longest side of a frame that is enlarged: what phones and laptops without a GPU manage several times a second. */
const FRAME_SIDE = 320;
/** Values of each frame that are compared with the reference. */
const SAMPLES = 48;
/** Frames over which the time is averaged. */
const WINDOW = 10;

export interface Frame {
  readonly before: Before;
  readonly after: LiveResult;
  /** Of the transposed convolution, the mean of the last frames. */
  readonly milliseconds: number;
  readonly framesPerSecond: number;
  readonly check: SampleCheck;
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

  put(image: ImageData, top: number): void {
    this.#context.putImageData(image, 0, top);
  }

  draw(context: CanvasRenderingContext2D, zoom: number): void {
    context.imageSmoothingEnabled = zoom < 2;
    context.drawImage(this.#context.canvas, 0, 0);
  }
}

/** Enlarges what a video shows, frame after frame, until `signal` aborts. */
export async function* enlargeLive(
  video: HTMLVideoElement,
  layer: UpsampleLayer,
  device: Device,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const size = frameSize(video);
  const after = new LiveResult(layer.stride * size.width, layer.stride * size.height);
  const upsampler = new Upsampler(layer, device);
  const times: number[] = [];
  const starts: number[] = [];
  try {
    while (!signal.aborted) {
      await nextFrame(signal);
      starts.push(performance.now());
      const before = new Before(video, size, layer.stride);
      const check = new SampleCheck(before.pixels, layer, SAMPLES);
      let milliseconds = 0;
      for await (const { output, strip, milliseconds: part } of upsampler.run(before.pixels, signal)) {
        milliseconds += part;
        const top = layer.stride * strip.start;
        await check.compare(output, top);
        const rgba = new Uint8ClampedArray(4 * after.width * (output.shape[2] ?? 0));
        tensorToRgba(output, rgba, 0);
        after.put(new ImageData(rgba, after.width), top);
      }
      times.push(milliseconds);
      if (times.length > WINDOW) times.shift();
      if (starts.length > WINDOW + 1) starts.shift();
      const seconds = (performance.now() - (starts[0] ?? NaN)) / 1000;
      yield {
        before,
        after,
        check,
        milliseconds: times.reduce((sum, time) => sum + time, 0) / times.length,
        framesPerSecond: starts.length / seconds,
      };
    }
  } finally {
    upsampler.destroy();
  }
}

function frameSize({ videoWidth, videoHeight }: HTMLVideoElement): Size {
  const shrink = Math.min(1, FRAME_SIDE / Math.max(videoWidth, videoHeight));
  return {
    width: Math.max(1, Math.round(videoWidth * shrink)),
    height: Math.max(1, Math.round(videoHeight * shrink)),
  };
}

/** When the page draws next; not at all while nobody looks at it. */
async function nextFrame(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => requestAnimationFrame(resolve));
  signal.throwIfAborted();
}
