import { ConvTranspose2d, upload, type GpuTensor, type HostTensor } from 'webgpu-conv-transpose2d';

/** A DCGAN's generator: 100 numbers become an RGB image of 64 × 64 by five layers, on the caller's device. */
export class DcganGenerator {
  readonly latentShape: readonly number[];
  readonly imageShape: readonly number[];
  readonly #layers: readonly ConvTranspose2d[];
  /** What lives between the layers. */
  readonly #activations: readonly GpuTensor[];

  constructor(device: GPUDevice, { features = 64, batch = 1 } = {}) {
    const channels = [100, 8 * features, 4 * features, 2 * features, features, 3];
    this.#layers = channels.slice(1).map((outChannels, i) => {
      const first = i === 0 ? { stride: 1, padding: 0 } : { stride: 2, padding: 1 };
      const activation = outChannels === 3 ? 'tanh' : 'relu';
      return new ConvTranspose2d(channels[i]!, outChannels, 4, { ...first, activation, device });
    });
    this.latentShape = [batch, 100, 1, 1];
    let last = this.latentShape;
    const shapes = this.#layers.map((layer) => (last = layer.outputShape(last)));
    this.imageShape = last;
    this.#activations = shapes.slice(0, -1).map((shape) => {
      const size = 4 * shape.reduce((product, extent) => product * extent);
      return { shape, buffer: device.createBuffer({ label: 'activation', size, usage: GPUBufferUsage.STORAGE }) };
    });
  }

  /** Weights and biases of the five layers, the batch norms folded into them. */
  async load(states: readonly { weight: HostTensor; bias: HostTensor }[]): Promise<void> {
    const inputs = [{ shape: this.latentShape }, ...this.#activations];
    await Promise.all(
      this.#layers.map((layer, i) => {
        layer.loadStateDict(states[i]!);
        return layer.prepare(inputs[i]!.shape);
      }),
    );
  }

  // #region encode
  /** Records all five layers; nothing is submitted, waited for or read back. */
  encode(encoder: GPUCommandEncoder, latent: GpuTensor, image: GpuTensor): void {
    let input = latent;
    this.#layers.forEach((layer, i) => {
      input = layer.encode(encoder, input, this.#activations[i] ?? image);
    });
  }
  // #endregion encode

  destroy(): void {
    for (const layer of this.#layers) layer.destroy();
    for (const { buffer } of this.#activations) buffer.destroy();
  }
}

// #region fold
/** What a batch norm that is done learning does to its input, done to the weights that make that input instead. */
export function foldBatchNorm(
  weight: HostTensor,
  norm: { gamma: Float32Array; beta: Float32Array; mean: Float32Array; variance: Float32Array; epsilon?: number },
): { weight: HostTensor; bias: HostTensor } {
  const { gamma, beta, mean, variance, epsilon = 1e-5 } = norm;
  const scale = gamma.map((value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
  const [, outChannels = 1, height = 1, width = 1] = weight.shape;
  const channelOf = (at: number): number => Math.floor(at / (height * width)) % outChannels;
  const data = Float32Array.from(weight.data, (value, at) => value * scale[channelOf(at)]!);
  const bias = beta.map((value, channel) => value - mean[channel]! * scale[channel]!);
  return { weight: { shape: weight.shape, data }, bias: { shape: [outChannels], data: bias } };
}
// #endregion fold

// #region use
/** A page's own loop: numbers in, image out, in the page's encoder and its buffers. */
export function generate(device: GPUDevice, generator: DcganGenerator, numbers: Float32Array, into: GPUBuffer): void {
  const latent = upload(device, { shape: generator.latentShape, data: numbers });
  const encoder = device.createCommandEncoder();
  // The image starts 256 bytes into the caller's buffer.
  generator.encode(encoder, latent, { shape: generator.imageShape, buffer: into, offset: 256 });
  device.queue.submit([encoder.finish()]);
  latent.buffer.destroy();
}
// #endregion use
