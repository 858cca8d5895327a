import type { Device } from 'webgpu-conv-transpose2d';
import type { UpsampleLayer } from './kernels.ts';
import type { Pixels } from './pixels.ts';
import type { Result } from './result.ts';
import type { SampleCheck } from './sample-check.ts';
import { Upsampler } from './upsample.ts';

/** What a picture is enlarged by, and who wants to know of it. */
export interface Enlargement {
  readonly layer: UpsampleLayer;
  readonly device: Device;
  readonly signal: AbortSignal;
  readonly check?: SampleCheck;
  /** After each strip: the part that is done. */
  readonly onProgress: (part: number) => void;
}

/** What the transposed convolutions took. */
export interface Spent {
  readonly milliseconds: number;
  readonly strips: number;
}

/** Enlarges a picture into `result`, strip by strip. */
export async function enlarge(
  pixels: Pixels,
  result: Result,
  { layer, device, signal, check, onProgress }: Enlargement,
): Promise<Spent> {
  const upsampler = new Upsampler(layer, device);
  let milliseconds = 0;
  let strips = 0;
  try {
    for await (const finished of upsampler.run(pixels, signal)) {
      milliseconds += finished.milliseconds;
      strips = finished.count;
      await check?.compare(finished.output, finished.strip.start * layer.stride);
      await result.add(finished.output);
      signal.throwIfAborted();
      onProgress((finished.index + 1) / finished.count);
    }
  } finally {
    upsampler.destroy();
  }
  return { milliseconds, strips };
}
