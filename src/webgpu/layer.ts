/** A layer on a GPU: packed weights, and what each shape was prepared to. */
import { ConvTranspose2dError } from '../errors.ts';
import type { Spec } from '../options.ts';
import type { Capabilities } from '../capabilities.ts';
import { packedElements, unpackWeight } from '../packing.ts';
import type { LayerPlan } from '../plan.ts';
import { bytesOf, hostTensorLike } from '../tensors.ts';
import type { GpuTensor, HostTensor, StateDict } from '../types.ts';
import { bindingOf, bufferFrom, checkFits, read, stage, submitReading, tensorBytes } from './buffers.ts';
import { PackedParameters } from './packed-parameters.ts';
import { PreparedPlans } from './prepared.ts';
import { Retired } from './retired.ts';
import { inCallersScopes, inScopes, lossOf, makeBuffer, watch, type Made } from './scopes.ts';

/** What one call from host to host has on the device. */
interface Held {
  readonly from: Required<GpuTensor>;
  readonly to: Required<GpuTensor>;
  /** Of the input, if the page has written them. */
  readonly texels: GPUTexture | undefined;
}

export class GpuLayer {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  readonly #retired = new Retired();
  readonly #parameters: PackedParameters;
  readonly #prepared: PreparedPlans;
  /** Host parameters that were loaded last, unless a GPU's were. */
  #host: StateDict | undefined;
  /** The same, while they are not on the device yet. */
  #unpacked: StateDict | undefined;
  /** The packing of the parameters that were loaded last: calls that read them reject as it does. */
  #packing: Promise<void> | undefined;
  /** Why there are no parameters. */
  #refused: Error | undefined;
  /** How often parameters were loaded. */
  #loads = 0;
  #destroyed = false;

  constructor(device: GPUDevice, spec: Spec, capabilities: Capabilities) {
    this.device = device;
    this.capabilities = capabilities;
    this.#spec = spec;
    watch(device);
    this.#parameters = new PackedParameters(device, spec, capabilities.software, this.#retired, () => {
      this.#forget(new Set());
    });
    this.#prepared = new PreparedPlans(device, spec, this.#parameters, this.#retired);
    checkFits(device, 'the packed weight', 4 * packedElements(spec));
  }

  /** Takes host tensors; they are uploaded and packed when a call needs them. */
  loadHost(state: StateDict): void {
    this.#retired.destroy();
    this.#loads++;
    this.#packing = undefined;
    this.#refused = undefined;
    this.#host = state;
    this.#unpacked = state;
  }

  /** Packs GPU tensors, by a pass that is submitted at once. */
  loadGpu({ weight, bias }: StateDict<Required<GpuTensor>>): void {
    this.#retired.destroy();
    const load = ++this.#loads;
    this.#host = undefined;
    this.#unpacked = undefined;
    this.#refused = undefined;
    const refuse = (error: unknown): void => {
      if (load === this.#loads) this.#refused = error as Error;
    };
    const packing = this.#withRoom(
      () => {
        this.#parameters.pack(bindingOf(weight), bias && bindingOf(bias));
      },
      // Calls may come before it is known why.
      () => {
        refuse(new ConvTranspose2dError('GPU_ERROR', 'the parameters could not be packed'));
      },
    );
    this.#packing = packing;
    packing.catch(refuse);
  }

  /** Uploads and packs host parameters that are not there yet, in scopes of their own: other calls read them, too. */
  #packHost(): void {
    const state = this.#takeUnpacked();
    if (state === undefined) return;
    const packing = inScopes(
      this.device,
      () => {
        this.#parameters.packHost(state);
      },
      (made) => {
        // The next call tries again, and need not wait until it is known why.
        if (this.#host === state) this.#packing = undefined;
        this.#forget(made);
      },
    );
    this.#packing = packing;
    packing.catch(() => {
      if (this.#packing === packing) this.#packing = undefined;
    });
  }

  #takeUnpacked(): StateDict | undefined {
    const state = this.#unpacked;
    this.#unpacked = undefined;
    return state;
  }

  /** The parameters as the layer's own tensors: packing undone on the host. */
  async stateDict(): Promise<{ weight: Float32Array; bias: Float32Array }> {
    await this.#packing;
    const reading = await inScopes(this.device, () => {
      this.#check();
      const encoder = this.device.createCommandEncoder({ label: 'conv-transpose2d stateDict' });
      const { weight, bias } = this.#parameters.packed;
      const copies = [weight, bias].map((buffer) => stage(this.device, encoder, buffer, 0, buffer.size));
      return submitReading(this.device, encoder, copies);
    });
    const [weight, bias] = await read(this.device, reading);
    return {
      weight: unpackWeight(this.#spec, new Float32Array(weight!)),
      bias: new Float32Array(bias!, 0, this.#spec.outChannels),
    };
  }

  /** Makes what a plan needs; pipelines compile without blocking. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    if (await this.#compile(layerPlan, false)) return;
    await this.#attempt(layerPlan, () => {
      this.#prepared.make(layerPlan, false);
    });
  }

  /**
   * Compiles what a plan needs, and does meanwhile what is the page's to do: packs the weights, among others; true if all was
   * there. With `quick`, what compiles sooner will do.
   */
  async #compile(layerPlan: LayerPlan, quick: boolean, meanwhile?: () => void): Promise<boolean> {
    await this.#packing;
    this.#check();
    if (this.#prepared.has(layerPlan, quick) && this.#unpacked === undefined) return true;
    const compiling = this.#prepared.compile(this.#prepared.layOut(layerPlan).steps, quick);
    // Sends off what was asked for, before the page is busy.
    this.device.queue.submit([]);
    const packing = this.#parameters.compile().then(() =>
      this.#attempt(layerPlan, () => {
        meanwhile?.();
      }),
    );
    // What is made meanwhile is let go of after both.
    await Promise.allSettled([compiling, packing]);
    await Promise.all([compiling, packing]);
    return false;
  }

  /** Records a call into an encoder. */
  encode(
    encoder: GPUCommandEncoder,
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
  ): void {
    // What makes nothing needs no scopes, and costs less.
    if (this.#unpacked === undefined && this.#prepared.has(layerPlan, false)) {
      this.#check();
      this.#retired.named = true;
      this.#prepared.encode(encoder, layerPlan, input, output, false);
      return;
    }
    this.#inCallersScopes(layerPlan, () => {
      const state = this.#takeUnpacked();
      if (state !== undefined) this.#parameters.packHost(state);
      this.#prepared.encode(encoder, layerPlan, input, output, false);
    });
  }

  /** Lets go of what a plan was prepared to. */
  release(layerPlan: LayerPlan): void {
    this.#prepared.release(layerPlan);
  }

  /** One call from host to host. With `quick`, what is not compiled yet runs on what compiles sooner. */
  async forward(
    layerPlan: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
    quick = true,
  ): Promise<HostTensor> {
    const { device } = this;
    const { dtype } = this.#spec;
    const { outputShape } = layerPlan.plan;
    const size = tensorBytes(outputShape, dtype);
    let held: Held | undefined;
    let staging: GPUBuffer | undefined;
    const hold = (): Held => (held ??= this.#hold(layerPlan, input, size, quick));
    try {
      await this.#compile(layerPlan, quick, size === 0 ? undefined : hold);
      signal?.throwIfAborted();
      if (size === 0) return output ?? hostTensorLike(input, outputShape, new ArrayBuffer(0));
      const reading = await this.#attempt(layerPlan, () => {
        const { from, to, texels } = hold();
        const encoder = device.createCommandEncoder({ label: 'conv-transpose2d forward' });
        this.#prepared.encode(encoder, layerPlan, from, to, quick, texels);
        staging = stage(device, encoder, to.buffer, 0, size);
        return submitReading(device, encoder, [staging]);
      });
      const [bytes] = await read(device, reading, signal);
      if (output === undefined) return hostTensorLike(input, outputShape, bytes!);
      bytesOf(output.data).set(new Uint8Array(bytes!, 0, output.data.byteLength));
      return output;
    } finally {
      held?.from.buffer.destroy();
      held?.to.buffer.destroy();
      held?.texels?.destroy();
      staging?.destroy();
    }
  }

  /** Makes what one call needs for itself. */
  #hold(layerPlan: LayerPlan, input: HostTensor, size: number, quick: boolean): Held {
    const { device } = this;
    const { dtype } = this.#spec;
    const { outputShape } = layerPlan.plan;
    const { STORAGE, COPY_SRC } = GPUBufferUsage;
    const inputBuffer = bufferFrom(device, 'conv-transpose2d input', STORAGE, bytesOf(input.data));
    const outputBuffer = makeBuffer(device, { label: 'conv-transpose2d output', size, usage: STORAGE | COPY_SRC });
    const held = {
      from: { shape: input.shape, buffer: inputBuffer, dtype, offset: 0 },
      to: { shape: outputShape, buffer: outputBuffer, dtype, offset: 0 },
      texels: quick ? this.#prepared.texelsOf(layerPlan, input) : undefined,
    };
    this.#prepared.layFor(layerPlan, held.from, held.to, quick, held.texels);
    return held;
  }

  destroy(): void {
    this.#destroyed = true;
    this.#retired.destroy();
    this.#prepared.destroy();
    this.#parameters.destroy();
  }

  /**
   * Runs a segment on the packed parameters, and rejects if those are not there. What it prepared does not outlive its
   * failure, so that the next call starts anew.
   */
  async #attempt<T>(layerPlan: LayerPlan, segment: () => T): Promise<T> {
    this.#check();
    let packing: Promise<void> | undefined;
    const result = await this.#withRoom(
      () => {
        this.#packHost();
        packing = this.#packing;
        return segment();
      },
      () => {
        this.release(layerPlan);
      },
    );
    await packing;
    return result;
  }

  /** Runs a segment that needs room for the parameters. */
  async #withRoom<T>(segment: () => T, onFailure?: () => void): Promise<T> {
    const { room } = this.#parameters;
    const result = inScopes(this.device, segment, (made) => {
      this.#forget(made);
      onFailure?.();
    });
    result.catch(() => undefined);
    // What is wrong without room is no error of its own.
    await room;
    return result;
  }

  /** Runs a segment that records into a caller's encoder; what it made is likewise forgotten if it is not valid. */
  #inCallersScopes<T>(layerPlan: LayerPlan, segment: () => T): T {
    this.#check();
    this.#retired.named = true;
    return inCallersScopes(this.device, segment, (made) => {
      this.#forget(made);
      this.release(layerPlan);
      for (const one of made) this.#retired.add(one);
    });
  }

  /** Forgets what a segment that failed has made, and what it may have left unpacked. */
  #forget(made: Set<Made>): void {
    this.#prepared.forget(made, this.#parameters.forget(made));
    this.#unpacked = this.#host;
  }

  /** Before anything is made that nobody would let go of; a lost device takes calls as if well. */
  #check(): void {
    if (this.#destroyed) throw new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');
    const error = lossOf(this.device) ?? this.#refused;
    if (error !== undefined) throw error;
  }

  /**
   * The packed weights of a layer without a bias, for the caller's own pass to write; `encodeWeightTexels` comes after it,
   * and finds the plan's texels there.
   */
  packedWeight(layerPlan: LayerPlan): GPUBuffer {
    return this.#inCallersScopes(layerPlan, () => {
      this.#prepared.make(layerPlan, false);
      return this.#parameters.packed.weight;
    });
  }

  /** Records what follows from new packed weights. */
  encodeWeightTexels(encoder: GPUCommandEncoder): void {
    this.#parameters.encodeTexels(encoder);
  }
}
