/** A layer's parameters as its kernels read them: packed, and the same as texels where a plan wants those. */
import type { Spec } from '../options.ts';
import { roundUp } from '../geometry.ts';
import { packedElements, packWeight, paddedInChannels, paddedOutChannels } from '../packing.ts';
import { TEXELS_IN_LINE, textureSize } from '../texels.ts';
import { CONVERT_WORKGROUP, fold } from '../workgroups.ts';
import { bytesOf, toFloat32Array, zeros } from '../tensors.ts';
import type { HostTensor, StateDict } from '../types.ts';
import { weightStrides } from '../layouts.ts';
import { bufferFrom, makeTexels } from './buffers.ts';
import { bindGroup, pipelineNow, pipelineSoon, type PipelineRequest } from './pipelines.ts';
import type { Retired } from './retired.ts';
import { destroySoon, inScopes, makeBuffer, type Made } from './scopes.ts';
import type { ResourceName } from './steps.ts';

interface Packed {
  readonly weight: GPUBuffer;
  readonly bias: GPUBuffer;
}

export class PackedParameters {
  readonly #device: GPUDevice;
  readonly #spec: Spec;
  /** Whether JavaScript packs host tensors: on an emulated GPU that is faster than compiling a pass for it. */
  readonly #onHost: boolean;
  #packed: Packed | undefined;
  #room: Promise<void> = Promise.resolve();
  #texels: GPUTexture | undefined;
  readonly #retired: Retired;
  /** Called when there was no room for the packed buffers. */
  readonly #onLost: () => void;

  constructor(device: GPUDevice, spec: Spec, onHost: boolean, retired: Retired, onLost: () => void) {
    this.#device = device;
    this.#spec = spec;
    this.#onHost = onHost;
    this.#retired = retired;
    this.#onLost = onLost;
  }

  /** Makes the packed buffers, when they are first written or read. Rejects if there is no memory for them. */
  get room(): Promise<void> {
    const buffer = (name: string, elements: number): GPUBuffer => {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      return makeBuffer(this.#device, { label: `conv-transpose2d packed ${name}`, size: 4 * elements, usage });
    };
    // In scopes of its own: if a call or a load fails, the buffers, which others may have filled, stay.
    if (this.#packed === undefined) {
      this.#room = inScopes(
        this.#device,
        () => {
          this.#packed = {
            weight: buffer('weight', packedElements(this.#spec)),
            bias: buffer('bias', roundUp(this.#spec.outChannels, 4)),
          };
        },
        () => {
          this.#packed = undefined;
          this.#onLost();
        },
      );
      this.#room.catch(() => undefined);
    }
    return this.#room;
  }

  get packed(): Packed {
    void this.room;
    return this.#packed!;
  }

  /** The resources that steps may bind. */
  get resources(): [ResourceName, Made][] {
    const { weight, bias } = this.packed;
    const texels: [ResourceName, Made][] = this.#texels === undefined ? [] : [['weightTexels', this.#texels]];
    return [['weight', weight], ['bias', bias], ...texels];
  }

  get #packRequest(): PipelineRequest {
    const constants = { WORKGROUP_SIZE: CONVERT_WORKGROUP, FLOAT16: Number(this.#spec.dtype === 'float16') };
    return { shader: 'pack-weight', constants, float16: false };
  }

  /** Compiles what packs host tensors, without blocking. */
  async compile(): Promise<void> {
    if (!this.#onHost) await pipelineSoon(this.#device, this.#packRequest);
  }

  /** Uploads host tensors: packed already, or as they are, for the pass that also packs GPU tensors. */
  packHost({ weight, bias }: StateDict): void {
    const device = this.#device;
    if (this.#onHost) {
      const { packed } = this;
      const padded = zeros(packed.bias.size / 4);
      if (bias !== undefined) padded.set(toFloat32Array(bias));
      device.queue.writeBuffer(packed.weight, 0, packWeight(this.#spec, toFloat32Array(weight)));
      device.queue.writeBuffer(packed.bias, 0, padded);
      this.#submitTexels();
      return;
    }
    const upload = ({ data }: HostTensor): GPUBuffer =>
      bufferFrom(device, 'conv-transpose2d parameters', GPUBufferUsage.STORAGE, bytesOf(data));
    const from = { weight: upload(weight), bias: bias && upload(bias) };
    this.pack({ buffer: from.weight }, from.bias && { buffer: from.bias });
    destroySoon(Object.values(from).filter((buffer) => buffer !== undefined));
  }

  /** Permutes the parameters into their packed buffers. A bias is a weight of one input channel and a 1×1 kernel. */
  pack(weight: GPUBufferBinding, bias: GPUBufferBinding | undefined): void {
    const device = this.#device;
    const { inChannels, outChannels, groups, kernelSize } = this.#spec;
    const { i, o, h, w } = weightStrides(this.#spec);
    const { packed } = this;
    // A safeguard, overwritten below: if packing fails, calls recorded before that is known give Infinity, not plausible numbers.
    device.queue.writeBuffer(packed.bias, 0, zeros(packed.bias.size / 4).fill(Infinity));
    const encoder = device.createCommandEncoder({ label: 'conv-transpose2d pack' });
    const uniforms = [
      this.#encodePack(encoder, weight, packed.weight, [
        ...[i, o, h, w, groups, ...kernelSize],
        ...[inChannels / groups, outChannels / groups, paddedInChannels(this.#spec), paddedOutChannels(this.#spec)],
      ]),
    ];
    if (bias === undefined) encoder.clearBuffer(packed.bias);
    else {
      const params = [0, 1, 0, 0, 1, 1, 1, 1, outChannels, 1, packed.bias.size / 4];
      uniforms.push(this.#encodePack(encoder, bias, packed.bias, params));
    }
    this.encodeTexels(encoder);
    device.queue.submit([encoder.finish()]);
    destroySoon(uniforms);
  }

  #encodePack(encoder: GPUCommandEncoder, source: GPUBufferBinding, target: GPUBuffer, params: number[]): GPUBuffer {
    const device = this.#device;
    const bytes = new Uint8Array(Uint32Array.from([...params, 0]).buffer);
    const uniform = bufferFrom(device, 'conv-transpose2d pack params', GPUBufferUsage.UNIFORM, bytes);
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d pack' });
    pass.setPipeline(pipelineNow(device, this.#packRequest));
    pass.setBindGroup(0, bindGroup(device, 'pack-weight', [{ buffer: uniform }, source, { buffer: target }]));
    const workgroups = Math.ceil(target.size / 4 / CONVERT_WORKGROUP);
    pass.dispatchWorkgroups(...fold(workgroups, device.limits.maxComputeWorkgroupsPerDimension));
    pass.end();
    return uniform;
  }

  /** Makes the texels if they are not there yet, of the weights as they are packed now. */
  makeTexels(): void {
    if (this.#texels !== undefined) return;
    const label = 'conv-transpose2d weight texels';
    this.#texels = makeTexels(this.#device, label, packedElements(this.#spec) / 4);
    this.#submitTexels();
  }

  #submitTexels(): void {
    if (this.#texels === undefined) return;
    const encoder = this.#device.createCommandEncoder({ label: 'conv-transpose2d weight texels' });
    this.encodeTexels(encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Records the copy of newly packed weights to their texture, if there is one. */
  encodeTexels(encoder: GPUCommandEncoder): void {
    const texture = this.#texels;
    if (texture === undefined) return;
    const source = { buffer: this.packed.weight, bytesPerRow: 16 * TEXELS_IN_LINE };
    encoder.copyBufferToTexture(source, { texture }, textureSize(this.packed.weight.size / 16));
  }

  /** If the texels are among `gone`, takes them out, retires them and returns true. */
  forget(gone: Set<Made>): boolean {
    const texels = this.#texels;
    if (texels === undefined || !gone.delete(texels)) return false;
    this.#texels = undefined;
    this.#retired.add(texels);
    return true;
  }

  destroy(): void {
    this.#texels?.destroy();
    this.#texels = undefined;
    this.#packed?.weight.destroy();
    this.#packed?.bias.destroy();
    this.#packed = undefined;
  }
}
