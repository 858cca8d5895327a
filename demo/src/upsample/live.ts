import type { OpenDevice } from '../device.ts';
import { roundingBound, type UpsampleLayer } from './kernels.ts';
import { LiveOnGpu } from './live-on-gpu.ts';
import { LiveFrame, LiveResult, type FrameUpsampler } from './live-frame.ts';
import { tensorToRgba } from './pixels.ts';
import { SampleCheck } from './sample-check.ts';
import { Upsampler } from './upsample.ts';
import type { Size } from './view-transform.ts';

/** Longest side of a frame that is enlarged: what phones and laptops without a GPU manage several times a second. */
const FRAME_SIDE = 320;
/** The same where frames stay on a GPU. */
const FRAME_SIDE_GPU = 960;
/** Values of a frame that are compared with the reference. */
const SAMPLES = 48;
/** Frames over which the time is averaged. */
const WINDOW = 10;

export interface Frame {
  readonly before: LiveFrame;
  readonly after: LiveResult;
  /** Of the transposed convolution, the mean of the last frames. */
  readonly milliseconds: number;
  readonly framesPerSecond: number;
  /** Of this frame, or of the last one that was checked. */
  readonly check: SampleCheck;
  /** The difference that rounding alone can make. */
  readonly bound: number;
}

/** Frames are read, enlarged as pictures are, and written. */
class LiveByCopies implements FrameUpsampler {
  readonly checkEvery = 1;
  readonly extraRoundings = 0;
  readonly #layer: UpsampleLayer;
  readonly #upsampler: Upsampler;

  constructor(layer: UpsampleLayer, { device }: OpenDevice) {
    this.#layer = layer;
    this.#upsampler = new Upsampler(layer, device);
  }

  async run(
    before: LiveFrame,
    after: LiveResult,
    check: SampleCheck | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    let total = 0;
    for await (const { output, strip, milliseconds } of this.#upsampler.run(before.pixels, signal)) {
      total += milliseconds;
      const top = this.#layer.stride * strip.start;
      await check?.compare(output, top);
      const rgba = new Uint8ClampedArray(4 * after.width * (output.shape[2] ?? 0));
      tensorToRgba(output, rgba, 0);
      after.putRows(new ImageData(rgba, after.width), top);
    }
    return total;
  }

  destroy(): void {
    this.#upsampler.destroy();
  }
}

/**
 * Enlarges what a video shows, frame after frame, until `signal` aborts. `after` is the same for all frames of one size:
 * a camera that is turned gives frames of another.
 */
export async function* enlargeLive(
  video: HTMLVideoElement,
  layer: UpsampleLayer,
  opened: OpenDevice,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  for (;;) yield* enlargeOneSize(video, layer, opened, signal);
}

async function* enlargeOneSize(
  video: HTMLVideoElement,
  layer: UpsampleLayer,
  opened: OpenDevice,
  signal: AbortSignal,
): AsyncGenerator<Frame> {
  const { videoWidth, videoHeight } = video;
  const { device, software } = opened;
  const staysOnGpu = device !== 'cpu' && !software;
  const size = frameSize(video, staysOnGpu ? FRAME_SIDE_GPU : FRAME_SIDE);
  const after = new LiveResult(layer.stride * size.width, layer.stride * size.height);
  const upsampler: FrameUpsampler = staysOnGpu ? new LiveOnGpu(layer, device) : new LiveByCopies(layer, opened);
  const bound = roundingBound(layer, upsampler.extraRoundings);
  const times: number[] = [];
  const starts: number[] = [];
  let check: SampleCheck | undefined;
  try {
    for (let count = 0; ; count++) {
      await nextFrame(signal);
      if (video.videoWidth !== videoWidth || video.videoHeight !== videoHeight) return;
      starts.push(performance.now());
      const before = new LiveFrame(video, size, layer.stride, !staysOnGpu);
      const due = count % upsampler.checkEvery === 0 ? new SampleCheck(before.pixels, layer, SAMPLES) : undefined;
      times.push(await upsampler.run(before, after, due, signal));
      check = due ?? check;
      if (!check) throw new Error('the first frame is checked');
      if (times.length > WINDOW) times.shift();
      if (starts.length > WINDOW + 1) starts.shift();
      const seconds = (performance.now() - (starts[0] ?? NaN)) / 1000;
      yield {
        before,
        after,
        check,
        bound,
        milliseconds: times.reduce((sum, time) => sum + time, 0) / times.length,
        framesPerSecond: starts.length / seconds,
      };
    }
  } finally {
    upsampler.destroy();
  }
}

function frameSize({ videoWidth, videoHeight }: HTMLVideoElement, most: number): Size {
  const shrink = Math.min(1, most / Math.max(videoWidth, videoHeight));
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
