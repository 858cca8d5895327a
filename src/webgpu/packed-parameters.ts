/** A layer's parameters as its kernels read them: packed, and as texels where a plan wants those. */
import type { Spec } from '../options.ts';
import { CONVERT_WORKGROUP, fold, packedElements, paddedOutChannels, roundUp, weightStrides } from '../plan.ts';
import { bufferFrom, makeTexels, tableFrom } from './buffers.ts';
import { bindGroup, pipelineNow, pipelineSoon, type PipelineRequest } from './pipelines.ts';
import type { Retired } from './retired.ts';
import { makeBuffer, type Made } from './scopes.ts';
import { resourcesOf, type ResourceName, type Step, type WeightStep } from './steps.ts';

interface Packed {
  readonly weight: GPUBuffer;
  readonly bias: GPUBuffer;
}

/** Weights as texels, and how they are written. */
interface WeightTexels {
  readonly texture: GPUTexture;
  readonly step: Step;
  readonly pipeline: GPUComputePipeline;
  readonly tables: GPUBuffer;
}

export class PackedParameters {
  readonly #device: GPUDevice;
  readonly #spec: Spec;
  readonly #retired: Retired;
  #packed: Packed | undefined;
  /** As the prepared plans want them. */
  readonly #texels = new Map<ResourceName, WeightTexels>();

  constructor(device: GPUDevice, spec: Spec, retired: Retired) {
    this.#device = device;
    this.#spec = spec;
    this.#retired = retired;
  }

  /** Made when they are first packed or read, within the call's error scopes. */
  get packed(): Packed {
    const buffer = (name: string, elements: number): GPUBuffer => {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      return makeBuffer(this.#device, { label: `conv-transpose2d packed ${name}`, size: 4 * elements, usage });
    };
    this.#packed ??= {
      weight: buffer('weight', packedElements(this.#spec)),
      bias: buffer('bias', roundUp(this.#spec.outChannels, 4)),
    };
    return this.#packed;
  }

  /** All that a step may name. */
  get resources(): [ResourceName, Made][] {
    const texels = [...this.#texels].map(([name, { texture }]): [ResourceName, Made] => [name, texture]);
    return [['weight', this.packed.weight], ['bias', this.packed.bias], ...texels];
  }

  get #packRequest(): PipelineRequest {
    const constants = { WORKGROUP_SIZE: CONVERT_WORKGROUP, FLOAT16: Number(this.#spec.dtype === 'float16') };
    return { shader: 'pack-weight', constants, float16: false };
  }

  /** Compiles without blocking. */
  async compile(steps: ReadonlyMap<ResourceName, WeightStep>): Promise<void> {
    const requests = [this.#packRequest, ...[...steps.values()].map(({ step }) => step.request)];
    await Promise.all(requests.map((request) => pipelineSoon(this.#device, request)));
  }

  /** Permutes the parameters into their packed buffers. A bias is a weight of one input channel and a 1×1 kernel. */
  pack(weight: GPUBufferBinding, bias: GPUBufferBinding | undefined): void {
    const device = this.#device;
    const { inChannels, outChannels, groups, kernelSize } = this.#spec;
    const { i, o, h, w } = weightStrides(this.#spec);
    const { packed } = this;
    const encoder = device.createCommandEncoder({ label: 'conv-transpose2d pack' });
    const uniforms = [
      this.#encodePack(encoder, weight, packed.weight, [
        ...[i, o, h, w, groups, ...kernelSize],
        ...[inChannels / groups, outChannels / groups, paddedOutChannels(this.#spec)],
      ]),
    ];
    if (bias === undefined) encoder.clearBuffer(packed.bias);
    else {
      const params = [0, 1, 0, 0, 1, 1, 1, 1, outChannels, packed.bias.size / 4];
      uniforms.push(this.#encodePack(encoder, bias, packed.bias, params));
    }
    this.encodeTexels(encoder);
    device.queue.submit([encoder.finish()]);
    uniforms.forEach((uniform) => {
      uniform.destroy();
    });
  }

  #encodePack(encoder: GPUCommandEncoder, source: GPUBufferBinding, target: GPUBuffer, params: number[]): GPUBuffer {
    const device = this.#device;
    const bytes = new Uint8Array(Uint32Array.from([...params, 0, 0]).buffer);
    const uniform = bufferFrom(device, 'conv-transpose2d pack params', GPUBufferUsage.UNIFORM, bytes);
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d pack' });
    pass.setPipeline(pipelineNow(device, this.#packRequest));
    pass.setBindGroup(0, bindGroup(device, 'pack-weight', [{ buffer: uniform }, source, { buffer: target }]));
    const workgroups = Math.ceil(target.size / 4 / CONVERT_WORKGROUP);
    pass.dispatchWorkgroups(...fold(workgroups, device.limits.maxComputeWorkgroupsPerDimension));
    pass.end();
    return uniform;
  }

  /** Makes the texels that are not there yet, of the weights as they are packed now. */
  makeTexels(steps: ReadonlyMap<ResourceName, WeightStep>): void {
    const device = this.#device;
    for (const [name, { step, tables, texels }] of steps) {
      if (this.#texels.has(name)) continue;
      const made = {
        texture: makeTexels(device, 'conv-transpose2d weight texels', texels),
        step,
        pipeline: pipelineNow(device, step.request),
        tables: tableFrom(device, 'conv-transpose2d weight tables', tables),
      };
      this.#texels.set(name, made);
      const encoder = device.createCommandEncoder({ label: 'conv-transpose2d weight texels' });
      this.#encodeTexels(encoder, name, made);
      device.queue.submit([encoder.finish()]);
    }
  }

  /** Records what follows from newly packed weights. */
  encodeTexels(encoder: GPUCommandEncoder): void {
    for (const [name, texels] of this.#texels) this.#encodeTexels(encoder, name, texels);
  }

  #encodeTexels(
    encoder: GPUCommandEncoder,
    name: ResourceName,
    { texture, step, pipeline, tables }: WeightTexels,
  ): void {
    const named = new Map<ResourceName, Made>([
      ['tables', tables],
      ['weight', this.packed.weight],
      [name, texture],
    ]);
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d weight texels' });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup(this.#device, step.request.shader, resourcesOf(step, named)));
    pass.dispatchWorkgroups(...step.workgroups);
    pass.end();
  }

  /** Lets go of the texels of that name. */
  release(name: ResourceName): void {
    const texels = this.#texels.get(name);
    if (texels === undefined) return;
    this.#texels.delete(name);
    this.#retired.add(texels.texture);
    this.#retired.add(texels.tables);
  }

  /** Forgets what is gone; true if that is the packed parameters. */
  forget(gone: ReadonlySet<Made>): boolean {
    for (const [name, { texture }] of this.#texels) if (gone.has(texture)) this.#texels.delete(name);
    if (this.#packed === undefined || !gone.has(this.#packed.weight)) return false;
    this.#packed = undefined;
    return true;
  }

  destroy(): void {
    for (const { texture, tables } of this.#texels.values()) {
      texture.destroy();
      tables.destroy();
    }
    this.#texels.clear();
    this.#packed?.weight.destroy();
    this.#packed?.bias.destroy();
    this.#packed = undefined;
  }
}
