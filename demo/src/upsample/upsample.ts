import { ConvTranspose2d, type Device, type HostTensor } from 'webgpu-conv-transpose2d';
import { makeBreather } from '../work.ts';
import { paddingOf, type UpsampleLayer } from './kernels.ts';
import { CHANNELS, stripToTensor, type Pixels } from './pixels.ts';
import { planStrips, type Strip } from './strips.ts';

export interface FinishedStrip {
  readonly strip: Strip;
  /** (1, 3, scale · rows, scale · width), values 0 to 255. Valid until the next strip is asked for. */
  readonly output: HostTensor;
  /** Time of the transposed convolution, copies to and from the device included. */
  readonly milliseconds: number;
  readonly index: number;
  readonly count: number;
}

/** Small enough that one strip on the page's own thread is no pause that a person notices. */
const CPU_STRIP_VALUES = 2 ** 19;
/** 4 MiB of results: the GPU waits little, and turning them into pixels is no pause either. */
const GPU_STRIP_VALUES = 2 ** 20;
const BYTES_PER_VALUE = 4;

export function maxStripValues(device: Device): number {
  if (device === 'cpu') return CPU_STRIP_VALUES;
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  return Math.min(GPU_STRIP_VALUES, Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize) / BYTES_PER_VALUE));
}

/** The layer of that kernel, on a device. */
export function layerOn(device: Device, spec: UpsampleLayer): ConvTranspose2d {
  const options = { stride: spec.stride, padding: paddingOf(spec), groups: CHANNELS, bias: false, device };
  const layer = new ConvTranspose2d(CHANNELS, CHANNELS, spec.kernel, options);
  layer.loadStateDict({ weight: spec.weight });
  return layer;
}

/** Enlarges pictures strip by strip, top to bottom, and returns to the event loop in between. */
export class Upsampler {
  readonly #spec: UpsampleLayer;
  readonly #device: Device;
  readonly #layer: ConvTranspose2d;
  #prepared = '';

  constructor(spec: UpsampleLayer, device: Device) {
    this.#spec = spec;
    this.#device = device;
    this.#layer = layerOn(device, spec);
  }

  async *run(pixels: Pixels, signal: AbortSignal): AsyncGenerator<FinishedStrip> {
    const { width, height } = pixels;
    const { stride, halo } = this.#spec;
    const maxOutputValues = maxStripValues(this.#device);
    const strips = planStrips({ width, height, channels: CHANNELS, scale: stride, maxOutputValues });
    const breathe = makeBreather();
    for (const [index, strip] of strips.entries()) {
      signal.throwIfAborted();
      const input = stripToTensor(pixels, strip, halo);
      if (input.shape.join() !== this.#prepared) await this.#layer.prepare(input.shape, { signal });
      this.#prepared = input.shape.join();
      const start = performance.now();
      const output = await this.#layer.forward(input, { signal });
      const milliseconds = performance.now() - start;
      yield { strip, output, milliseconds, index, count: strips.length };
      await breathe();
    }
  }

  destroy(): void {
    this.#layer.destroy();
  }
}
