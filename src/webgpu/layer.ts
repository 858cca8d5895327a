/** A layer on a GPU: packed weights, and what each shape was prepared to. */
import { ConvTranspose2dError } from '../errors.ts';
import type { Spec } from '../options.ts';
import type { Capabilities } from '../capabilities.ts';
import { packedElements, unpackWeight } from '../packing.ts';
import type { LayerPlan } from '../plan.ts';
import { weightShape } from '../layouts.ts';
import { bytesOf, hostTensorLike, tensorOf } from '../tensors.ts';
import type { GpuTensor, HostTensor, StateDict } from '../types.ts';
import { bindingOf, bufferFrom, checkFits, read, stage, submitReading, tensorBytes } from './buffers.ts';
import { PackedParameters } from './packed-parameters.ts';
import { PreparedPlans } from './prepared.ts';
import { Retired } from './retired.ts';
import { inCallersScopes, inScopes, lossOf, makeBuffer, watch, type Made } from './scopes.ts';

/** What the device holds for one call from host to host. */
interface Held {
  readonly from: Required<GpuTensor>;
  readonly to: Required<GpuTensor>;
  /** The input's texels, if JavaScript has written them instead of a pass. */
  readonly texels: GPUTexture | undefined;
}

export class GpuLayer {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  readonly #retired = new Retired();
  readonly #parameters: PackedParameters;
  readonly #prepared: PreparedPlans;
  /** The parameters that were loaded last, if they were host tensors. */
  #host: StateDict | undefined;
  /** The same until they have been uploaded and packed. */
  #unpacked: StateDict | undefined;
  /** The packing of the parameters that were loaded last. Calls that read them reject if it does. */
  #packing: Promise<void> | undefined;
  /** The error of parameters that could not be packed: until others are loaded, there are none. */
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
      // A placeholder: calls may come before the real error is known.
      () => {
        refuse(new ConvTranspose2dError('GPU_ERROR', 'the parameters could not be packed'));
      },
    );
    this.#packing = packing;
    packing.catch(refuse);
  }

  /** Uploads and packs host parameters that are not on the device yet. In scopes of its own, since other calls read them too. */
  #packHost(): void {
    const state = this.#takeUnpacked();
    if (state === undefined) return;
    const packing = inScopes(
      this.device,
      () => {
        this.#parameters.packHost(state);
      },
      (made) => {
        // At once, not when the error is known: the next call should try again.
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

  /** The parameters, read back and unpacked on the host. */
  async stateDict(): Promise<{ weight: HostTensor; bias?: HostTensor }> {
    // Of what is there now, whatever is loaded meanwhile.
    const packing = this.#packing;
    const reading = inScopes(this.device, () => {
      this.#check();
      const encoder = this.device.createCommandEncoder({ label: 'conv-transpose2d stateDict' });
      const { weight, bias } = this.#parameters.packed;
      const copies = [weight, bias].map((buffer) => stage(this.device, encoder, buffer, 0, buffer.size));
      return submitReading(this.device, encoder, copies);
    }).then((readings) => read(this.device, readings));
    // Why nothing was packed says more than that it cannot be read.
    await Promise.allSettled([packing, reading]);
    const [, [weight, bias]] = await Promise.all([packing, reading]);
    const { outChannels, dtype, bias: hasBias } = this.#spec;
    const values = unpackWeight(this.#spec, new Float32Array(weight!));
    return {
      weight: tensorOf(weightShape(this.#spec), values, dtype),
      ...(hasBias && { bias: tensorOf([outChannels], new Float32Array(bias!, 0, outChannels), dtype) }),
    };
  }

  /** Makes what a plan needs; pipelines compile without blocking. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    if (await this.#compile(layerPlan, false)) return;
    await this.#attempt(layerPlan, () => {
      this.#prepared.make(layerPlan);
    });
  }

  /**
   * Compiles what a plan needs, and meanwhile packs the weights and runs `meanwhile`. Returns true if nothing was missing. With
   * `quick`, a kernel that compiles faster is enough.
   */
  async #compile(layerPlan: LayerPlan, quick: boolean, meanwhile?: () => void): Promise<boolean> {
    await this.#packing;
    this.#check();
    if (this.#prepared.has(layerPlan, quick) && this.#unpacked === undefined) return true;
    const compiling = this.#prepared.compile(this.#prepared.layOut(layerPlan).steps, quick);
    // An empty submit flushes the browser's command buffer, so that compiling begins before JavaScript is busy with packing.
    this.device.queue.submit([]);
    const packing = this.#parameters.compile().then(() =>
      this.#attempt(layerPlan, () => {
        meanwhile?.();
      }),
    );
    // Both must have settled before the caller releases what `meanwhile` made.
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
    // The fast path: nothing has to be made, so no error scopes are needed.
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

  /** Releases what was made for a plan. */
  release(layerPlan: LayerPlan): void {
    this.#prepared.release(layerPlan);
  }

  /** One call from host to host. With `quick`, it runs on a kernel that compiles faster if the planned one is not compiled yet. */
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
    this.#prepared.prepareFor(layerPlan, held.from, held.to, quick, held.texels);
    return held;
  }

  destroy(): void {
    this.#destroyed = true;
    this.#retired.destroy();
    this.#prepared.destroy();
    this.#parameters.destroy();
  }

  /**
   * Runs a segment that reads the packed parameters; rejects if packing them fails. If the segment fails, what it prepared is
   * released, so that the next call starts afresh.
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

  /** Runs a segment that needs the parameters' buffers, and waits for those first: without them its own errors mean nothing. */
  async #withRoom<T>(segment: () => T, onFailure?: () => void): Promise<T> {
    const { room } = this.#parameters;
    const result = inScopes(this.device, segment, (made) => {
      this.#forget(made);
      onFailure?.();
    });
    result.catch(() => undefined);
    // Throws the buffers' error rather than the segment's.
    await room;
    return result;
  }

  /** Runs a segment that records into a caller's encoder. What it made is forgotten, too, if it proves invalid. */
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

  /** Throws if the layer cannot compute: checked before anything is made, since a lost device would accept it all the same. */
  #check(): void {
    if (this.#destroyed) throw new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');
    const error = lossOf(this.device) ?? this.#refused;
    if (error !== undefined) throw error;
  }

  /**
   * The packed weights of a layer without a bias, for a pass of the gradients to write. Call `encodeWeightTexels` after it, which
   * copies them to the texture that the plan reads.
   */
  packedWeight(layerPlan: LayerPlan): GPUBuffer {
    return this.#inCallersScopes(layerPlan, () => {
      this.#prepared.make(layerPlan);
      return this.#parameters.packed.weight;
    });
  }

  /** Records the copy of newly packed weights to their texture, if there is one. */
  encodeWeightTexels(encoder: GPUCommandEncoder): void {
    this.#parameters.encodeTexels(encoder);
  }
}
