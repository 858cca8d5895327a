/** A layer that learns to enlarge pictures, from patches of one: twice, unless told. Its weights never leave the GPU. */
import {
  bilinearWeight,
  ConvTranspose2d,
  ConvTranspose2dGradients,
  upload,
  type GpuTensor,
  type HostTensor,
} from 'webgpu-conv-transpose2d';

const KERNEL = 8;
const LAYER = { stride: 2, padding: 3 };

// #region passes
const PASSES = /* wgsl */ `
struct Step { rate: f32, first_correction: f32, second_correction: f32, scale: f32 }
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec2f>;

// The mean squared error's gradient: a is the output, b what it should be.
@compute @workgroup_size(64) fn loss(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&result)) {
    result[id.x] = step.scale * (a[id.x] - b[id.x]);
  }
}

// Adam: a is the gradient, result the parameters.
@compute @workgroup_size(64) fn adam(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&result)) {
    let g = a[id.x];
    let m = mix(vec2f(g, g * g), moments[id.x], vec2f(0.9, 0.999));
    moments[id.x] = m;
    result[id.x] -= step.rate * m.x * step.first_correction / (sqrt(m.y * step.second_correction) + 1e-8);
  }
}`;
// #endregion passes

/** The layer as it starts: bilinear, in the middle of a larger kernel. */
export function startingWeight(): HostTensor {
  const { data } = bilinearWeight(1, 4);
  const weight = new Float32Array(KERNEL * KERNEL);
  for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) weight[(y + 2) * KERNEL + x + 2] = data[y * 4 + x]!;
  return { shape: [1, 1, KERNEL, KERNEL], data: weight };
}

// #region step
export class SuperResolution {
  readonly layer: ConvTranspose2d;
  readonly #device: GPUDevice;
  readonly #gradients: ConvTranspose2dGradients;
  readonly #weight: GpuTensor;
  readonly #moments: GPUBuffer;
  readonly #constants: GPUBuffer;
  readonly #pipelines: Record<'loss' | 'adam', GPUComputePipeline>;
  #steps = 0;

  /** Starts from a weight (1, 1, K, K). */
  constructor(device: GPUDevice, start: HostTensor = startingWeight(), options: typeof LAYER = LAYER) {
    this.#device = device;
    const [, , kernel = KERNEL] = start.shape;
    this.layer = new ConvTranspose2d(1, 1, kernel, { ...options, bias: false, device });
    this.#gradients = new ConvTranspose2dGradients(1, 1, kernel, { ...options, device });
    this.#weight = upload(device, start);
    this.layer.loadStateDict({ weight: this.#weight });
    const bytes = this.#weight.buffer.size;
    this.#moments = device.createBuffer({ size: 2 * bytes, usage: GPUBufferUsage.STORAGE });
    this.#constants = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    const module = device.createShaderModule({ code: PASSES });
    const pipeline = (entryPoint: 'loss' | 'adam'): GPUComputePipeline =>
      device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint } });
    this.#pipelines = { loss: pipeline('loss'), adam: pipeline('adam') };
  }

  /** Compiles, without blocking, what patches of that shape need. */
  async prepare(smallShape: readonly number[]): Promise<void> {
    await Promise.all([this.layer.prepare(smallShape), this.#gradients.prepare(smallShape)]);
  }

  /** One step of learning: small patches (N, 1, H, W) and the large ones that should come of them. Nothing is read back. */
  step(small: GpuTensor, large: GpuTensor, rate = 0.003): void {
    const device = this.#device;
    const count = large.shape.reduce((product, extent) => product * extent, 1);
    const t = ++this.#steps;
    const constants = [rate, 1 / (1 - 0.9 ** t), 1 / (1 - 0.999 ** t), 2 / count];
    device.queue.writeBuffer(this.#constants, 0, Float32Array.from(constants));

    const encoder = device.createCommandEncoder();
    const output = this.layer.encode(encoder, small);
    const gradOutput = { shape: large.shape, buffer: this.#buffer(4 * count) };
    this.#pass(encoder, 'loss', [output.buffer, large.buffer, gradOutput.buffer], count);
    const operands = { gradOutput, input: small, weight: this.#weight };
    const wanted = { gradInput: null, gradBias: null };
    const { gradWeight } = this.#gradients.encodeBackward(encoder, operands, wanted);
    const { buffer } = this.#weight;
    this.#pass(encoder, 'adam', [gradWeight.buffer, undefined, buffer, this.#moments], buffer.size / 4);
    device.queue.submit([encoder.finish()]);
    // The layer packs the new weights on the GPU.
    this.layer.loadStateDict({ weight: this.#weight });
    for (const made of [output, gradOutput, gradWeight]) made.buffer.destroy();
  }
  // #endregion step

  destroy(): void {
    this.layer.destroy();
    this.#gradients.destroy();
    for (const buffer of [this.#weight.buffer, this.#moments, this.#constants]) buffer.destroy();
  }

  #buffer(size: number): GPUBuffer {
    return this.#device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
  }

  /** Binds the constants, then the buffers in order, those that the pass does not read left out. */
  #pass(encoder: GPUCommandEncoder, name: 'loss' | 'adam', buffers: (GPUBuffer | undefined)[], count: number): void {
    const pipeline = this.#pipelines[name];
    const bound = [this.#constants, ...buffers];
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      this.#device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: bound.flatMap((buffer, binding) => (buffer === undefined ? [] : [{ binding, resource: { buffer } }])),
      }),
    );
    pass.dispatchWorkgroups(Math.ceil(count / 64));
    pass.end();
  }
}
