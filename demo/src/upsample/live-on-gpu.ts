import { download, type ConvTranspose2d, type GpuTensor } from 'webgpu-conv-transpose2d';
import { imageToTensor, tensorToCanvas } from 'webgpu-conv-transpose2d/image';
import { context2d } from './bands.ts';
import type { UpsampleLayer } from './kernels.ts';
import type { FrameUpsampler, LiveFrame, LiveResult } from './live-frame.ts';
import type { SampleCheck } from './sample-check.ts';
import { layerOn } from './upsample.ts';

/** Colours on the GPU go from 0 to 1; the reference's from 0 to 255. */
const LEVELS = 255;

/** Frames come to the GPU, are enlarged and shown there; only those that are checked are read. */
export class LiveOnGpu implements FrameUpsampler {
  readonly checkEvery = 60;
  /** Of a level to 0 to 1, and back. */
  readonly extraRoundings = 2;
  readonly #spec: UpsampleLayer;
  readonly #device: GPUDevice;
  readonly #layer: ConvTranspose2d;
  /** The frame with its edges repeated outward. */
  readonly #source = context2d(document.createElement('canvas'));
  readonly #target = new OffscreenCanvas(1, 1);
  #input: GpuTensor | undefined;
  #output: GpuTensor | undefined;

  constructor(spec: UpsampleLayer, device: GPUDevice) {
    this.#spec = spec;
    this.#device = device;
    this.#layer = layerOn(device, spec);
  }

  async run(
    before: LiveFrame,
    after: LiveResult,
    check: SampleCheck | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    const device = this.#device;
    this.#repeatEdges(before);
    this.#input = imageToTensor(device, this.#source.canvas, this.#input && { output: this.#input });
    if (!this.#output) await this.#layer.prepare(this.#input.shape, { signal });
    const start = performance.now();
    const encoder = device.createCommandEncoder();
    this.#output = this.#layer.encode(encoder, this.#input, this.#output);
    tensorToCanvas(device, this.#output, this.#target, { encoder });
    device.queue.submit([encoder.finish()]);
    after.put(this.#target.transferToImageBitmap());
    await device.queue.onSubmittedWorkDone();
    const milliseconds = performance.now() - start;
    if (check) {
      const { shape, data } = await download(device, this.#output);
      await check.compare({ shape, data: (data as Float32Array).map((value) => LEVELS * value) }, 0);
    }
    return milliseconds;
  }

  destroy(): void {
    this.#layer.destroy();
    this.#input?.buffer.destroy();
    this.#output?.buffer.destroy();
  }

  #repeatEdges({ canvas, width, height }: LiveFrame): void {
    const { halo } = this.#spec;
    const context = this.#source;
    const full = { width: width + 2 * halo, height: height + 2 * halo };
    if (context.canvas.width !== full.width || context.canvas.height !== full.height) {
      Object.assign(context.canvas, full);
      context.imageSmoothingEnabled = false;
    }
    // Rows above and below, then columns of what has those rows, so that corners are right too.
    context.drawImage(canvas, halo, halo);
    if (halo === 0) return;
    const own = context.canvas;
    context.drawImage(canvas, 0, 0, width, 1, halo, 0, width, halo);
    context.drawImage(canvas, 0, height - 1, width, 1, halo, halo + height, width, halo);
    context.drawImage(own, halo, 0, 1, full.height, 0, 0, halo, full.height);
    context.drawImage(own, halo + width - 1, 0, 1, full.height, halo + width, 0, halo, full.height);
  }
}
