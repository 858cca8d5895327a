/** A layer on a GPU: packed weights, and what each shape was prepared to. */
import { ConvTranspose2dError } from '../errors.ts';
import type { Spec } from '../options.ts';
import {
  CONVERT_WORKGROUP,
  fold,
  packedElements,
  paddedOutChannels,
  roundUp,
  TEXELS_IN_LINE,
  textureBytes,
  weightStrides,
  type Capabilities,
  type LayerPlan,
} from '../plan.ts';
import { unpackWeight } from '../packing.ts';
import { bytesOf, hostTensorLike } from '../tensors.ts';
import type { GpuTensor, HostTensor, StateDict } from '../types.ts';
import { bufferFrom, checkFits, readStaging, stage, tensorBytes } from './buffers.ts';
import {
  bindGroupLayout,
  isCompiled,
  nameOf,
  pipelineNow,
  pipelineSoon,
  TEXEL_FORMAT,
  type PipelineRequest,
} from './pipelines.ts';
import { Retired } from './retired.ts';
import { inScopes, lossOf, makeBuffer, makeTexture, watch, type Made } from './scopes.ts';
import { layOut, type ResourceName, type Run, type Step, type Steps, type WeightStep } from './steps.ts';

/** A plan with everything made but the bind groups, which name the caller's tensors. */
interface Prepared {
  readonly steps: readonly Step[];
  /** How each step runs: as it says, or quick while that is not compiled yet. */
  runs: readonly Run[];
  pipelines: readonly GPUComputePipeline[];
  /** Whether a call ran quick steps, and after that the compiling of the others. */
  ran: boolean;
  improving: Promise<void> | undefined;
  readonly tables: GPUBuffer;
  /** Names of the weights' texels that the steps read. */
  readonly weights: readonly ResourceName[];
  /** Of input and output; for a pair of buffers, by offsets. */
  groups: WeakMap<GPUBuffer, WeakMap<GPUBuffer, Map<string, readonly GPUBindGroup[]>>>;
}

/** Weights as texels, and how they are written. */
interface WeightTexels {
  readonly texture: GPUTexture;
  readonly step: Step;
  readonly pipeline: GPUComputePipeline;
  readonly tables: GPUBuffer;
}

/** Bind groups that are kept for a pair of buffers: one for each pair of offsets. */
const KEPT_OFFSETS = 64;

export class GpuLayer {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  /** Packed; made when they are first packed, within the call's error scopes. */
  #parameters: { readonly weight: GPUBuffer; readonly bias: GPUBuffer } | undefined;
  readonly #prepared = new Map<LayerPlan, Prepared>();
  /** Host parameters that were loaded last, unless a GPU's were. */
  #host: StateDict | undefined;
  /** The same, while they are not on the device yet. */
  #unpacked: StateDict | undefined;
  /** The packing of GPU tensors that were loaded last, until it has succeeded: calls reject as it does. */
  #packing: Promise<void> | undefined;
  /** What it failed by. */
  #refused: Error | undefined;
  /** What lives between the steps of a call. Calls run one after the other, so that all plans share it. */
  readonly #scratch = new Map<ResourceName, Made>();
  /** Of the packed weights, as the prepared plans want them. */
  readonly #weightTexels = new Map<ResourceName, WeightTexels>();
  readonly #retired = new Retired();
  /** Whether a caller's encoder that may not be submitted yet names buffers of the layer. */
  #named = false;
  #destroyed = false;

  constructor(device: GPUDevice, spec: Spec, capabilities: Capabilities) {
    this.device = device;
    this.capabilities = capabilities;
    this.#spec = spec;
    watch(device);
    checkFits(device, 'the packed weight', 4 * packedElements(spec));
  }

  #packed(): { readonly weight: GPUBuffer; readonly bias: GPUBuffer } {
    const buffer = (name: string, elements: number): GPUBuffer => {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      return makeBuffer(this.device, { label: `conv-transpose2d packed ${name}`, size: 4 * elements, usage });
    };
    this.#parameters ??= {
      weight: buffer('weight', packedElements(this.#spec)),
      bias: buffer('bias', roundUp(this.#spec.outChannels, 4)),
    };
    return this.#parameters;
  }

  /** Takes host tensors; they are uploaded and packed when a call needs them. */
  loadHost(state: StateDict): void {
    this.#letGoRetired();
    this.#packing = undefined;
    this.#refused = undefined;
    this.#host = state;
    this.#unpacked = state;
  }

  /** Packs GPU tensors, by a pass that is submitted at once. */
  loadGpu({ weight, bias }: StateDict<Required<GpuTensor>>): void {
    this.#letGoRetired();
    this.#host = undefined;
    this.#unpacked = undefined;
    const source = ({ shape, dtype, buffer, offset }: Required<GpuTensor>): GPUBufferBinding => ({
      buffer,
      offset,
      size: tensorBytes(shape, dtype),
    });
    const packing = inScopes(
      this.device,
      () => {
        this.#pack(source(weight), bias === undefined ? undefined : source(bias));
      },
      (made) => {
        this.#forget(made);
      },
    );
    this.#packing = packing;
    this.#refused = undefined;
    packing.then(
      () => {
        if (this.#packing === packing) this.#packing = undefined;
      },
      (error: unknown) => {
        if (this.#packing === packing) this.#refused = error as Error;
      },
    );
  }

  /** Uploads host parameters as they are and packs them by the same passes as a GPU tensor's. */
  #packHost(): void {
    if (this.#unpacked === undefined) return;
    const { weight, bias } = this.#unpacked;
    this.#unpacked = undefined;
    const buffers = [weight, bias].map((tensor) =>
      tensor === undefined
        ? undefined
        : bufferFrom(this.device, 'conv-transpose2d parameters', GPUBufferUsage.STORAGE, bytesOf(tensor.data)),
    );
    const [weightSource, biasSource] = buffers.map((buffer) => (buffer === undefined ? undefined : { buffer }));
    if (weightSource !== undefined) this.#pack(weightSource, biasSource);
    buffers.forEach((buffer) => {
      buffer?.destroy();
    });
  }

  /** The parameters as the layer's own tensors: packing undone on the host. */
  async stateDict(): Promise<{ weight: Float32Array; bias: Float32Array }> {
    await this.#packing;
    const [weight, bias] = await inScopes(this.device, () => {
      this.#checkAlive();
      const encoder = this.device.createCommandEncoder({ label: 'conv-transpose2d stateDict' });
      const { weight, bias } = this.#packed();
      const staged = [weight, bias].map((buffer) => stage(this.device, encoder, buffer, 0, buffer.size));
      this.device.queue.submit([encoder.finish()]);
      return staged as [GPUBuffer, GPUBuffer];
    });
    const [packed, biasBytes] = await Promise.all([readStaging(this.device, weight), readStaging(this.device, bias)]);
    return {
      weight: unpackWeight(this.#spec, new Float32Array(packed)),
      bias: new Float32Array(biasBytes, 0, this.#spec.outChannels),
    };
  }

  /** Makes what a plan needs; pipelines compile without blocking. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    if (await this.#compile(layerPlan, false)) return;
    await this.#attempt(layerPlan, () => {
      this.#packHost();
      this.#prepareNow(layerPlan, false);
    });
  }

  /** Compiles what a plan needs and packs the weights beside; true if all was there. With `quick`, what compiles sooner will do. */
  async #compile(layerPlan: LayerPlan, quick: boolean): Promise<boolean> {
    await this.#packing;
    this.#checkThere();
    const ready = this.#prepared.get(layerPlan);
    if (ready !== undefined && this.#unpacked === undefined && (quick || ready.runs === ready.steps)) return true;
    const { steps, weights } = this.#layOut(layerPlan);
    const compiled = (runs: readonly Pick<Run, 'request'>[]): Promise<unknown> =>
      Promise.all(runs.map(({ request }) => pipelineSoon(this.device, request)));
    const packing = [{ request: this.#packRequest }, ...[...weights.values()].map(({ step }) => step)];
    await Promise.all([
      // Kernels come last and take longest.
      compiled([...this.#runs(steps, quick)].reverse()),
      compiled(packing).then(() =>
        this.#attempt(layerPlan, () => {
          this.#packHost();
          this.#makeWeights(weights);
        }),
      ),
    ]);
    return false;
  }

  /** How steps run: with `quick`, by what compiles sooner where the rest is not compiled yet. */
  #runs(steps: readonly Step[], quick: boolean): readonly Run[] {
    const runs = steps.map((step) =>
      quick && step.quick !== undefined && !isCompiled(this.device, step.request) ? step.quick : step,
    );
    return runs.every((run, i) => run === steps[i]) ? steps : runs;
  }

  /** From the second call that runs quick steps on, the others are compiled beside the calls, which take them once they are there. */
  #improve(prepared: Prepared): void {
    if (prepared.ran) {
      prepared.improving ??= Promise.all(prepared.steps.map(({ request }) => pipelineSoon(this.device, request))).then(
        (pipelines) => {
          prepared.pipelines = pipelines;
          prepared.runs = prepared.steps;
        },
        () => undefined,
      );
    }
    prepared.ran = true;
  }

  /** Records a call into an encoder. */
  encode(
    encoder: GPUCommandEncoder,
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
  ): void {
    if (this.#refused !== undefined) throw this.#refused;
    this.#checkThere();
    this.#packHost();
    this.#named = true;
    const prepared = this.#prepared.get(layerPlan) ?? this.#prepareNow(layerPlan, false);
    this.#record(encoder, prepared, input, output);
  }

  /** Lets go of what a plan was prepared to. */
  release(layerPlan: LayerPlan): void {
    const prepared = this.#prepared.get(layerPlan);
    if (prepared === undefined) return;
    this.#prepared.delete(layerPlan);
    this.#letGo(prepared.tables);
    const wanted = new Set([...this.#prepared.values()].flatMap(({ weights }) => weights));
    for (const name of prepared.weights) if (!wanted.has(name)) this.#letGoWeightTexels(name);
  }

  #letGoWeightTexels(name: ResourceName): void {
    const texels = this.#weightTexels.get(name);
    this.#weightTexels.delete(name);
    for (const made of [texels?.texture, texels?.tables]) if (made !== undefined) this.#letGo(made);
  }

  /** Destroys what the layer made, or lets it be while a caller's encoder may name it. */
  #letGo(made: Made): void {
    if (this.#named) this.#retired.add(made);
    else made.destroy();
  }

  /** By contract, encoders are submitted before the next parameters are loaded. */
  #letGoRetired(): void {
    this.#retired.destroy();
    this.#named = false;
  }

  #record(
    encoder: GPUCommandEncoder,
    prepared: Prepared,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
  ): void {
    const { steps, runs, pipelines } = prepared;
    if (steps.length === 0) return;
    if (runs !== steps) this.#improve(prepared);
    const groups = this.#bindGroups(prepared, input, output);
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d' });
    for (let i = 0; i < runs.length; i++) {
      const [x, y, z] = runs[i]!.workgroups;
      pass.setPipeline(pipelines[i]!);
      pass.setBindGroup(0, groups[i]);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
  }

  /** One call from host to host. */
  async forward(
    layerPlan: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HostTensor> {
    await this.#compile(layerPlan, true);
    signal?.throwIfAborted();
    const { outputShape } = layerPlan.plan;
    const { dtype } = this.#spec;
    const size = tensorBytes(outputShape, dtype);
    if (size === 0) return output ?? hostTensorLike(input, outputShape, new ArrayBuffer(0));
    const { device } = this;
    const staging = await this.#attempt(layerPlan, () => {
      const inputBuffer = bufferFrom(device, 'conv-transpose2d input', GPUBufferUsage.STORAGE, bytesOf(input.data));
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
      const outputBuffer = makeBuffer(device, { label: 'conv-transpose2d output', size, usage });
      const encoder = device.createCommandEncoder({ label: 'conv-transpose2d forward' });
      this.#packHost();
      this.#record(
        encoder,
        this.#prepareNow(layerPlan, true),
        { shape: input.shape, buffer: inputBuffer, dtype, offset: 0 },
        { shape: outputShape, buffer: outputBuffer, dtype, offset: 0 },
      );
      const staged = stage(device, encoder, outputBuffer, 0, size);
      device.queue.submit([encoder.finish()]);
      inputBuffer.destroy();
      outputBuffer.destroy();
      return staged;
    });
    const bytes = await readStaging(device, staging, signal);
    if (output === undefined) return hostTensorLike(input, outputShape, bytes);
    bytesOf(output.data).set(new Uint8Array(bytes, 0, output.data.byteLength));
    return output;
  }

  destroy(): void {
    this.#destroyed = true;
    this.#retired.destroy();
    for (const { tables } of this.#prepared.values()) tables.destroy();
    this.#prepared.clear();
    for (const buffer of this.#scratch.values()) buffer.destroy();
    this.#scratch.clear();
    for (const { texture, tables } of this.#weightTexels.values())
      [texture, tables].forEach((made) => {
        made.destroy();
      });
    this.#weightTexels.clear();
    this.#parameters?.weight.destroy();
    this.#parameters?.bias.destroy();
    this.#parameters = undefined;
  }

  /** Runs a segment; what it prepared or packed does not outlive its failure, so that the next call starts anew. */
  #attempt<T>(layerPlan: LayerPlan, segment: () => T): Promise<T> {
    return inScopes(
      this.device,
      () => {
        this.#checkAlive();
        return segment();
      },
      (made) => {
        this.release(layerPlan);
        this.#forget(made);
      },
    );
  }

  /** Forgets what a segment that failed has made, and what it may have left unpacked. */
  #forget(made: ReadonlySet<Made>): void {
    for (const [plan, { tables }] of this.#prepared) if (made.has(tables)) this.#prepared.delete(plan);
    for (const [name, buffer] of this.#scratch) if (made.has(buffer)) this.#scratch.delete(name);
    for (const [name, { texture }] of this.#weightTexels) if (made.has(texture)) this.#weightTexels.delete(name);
    if (this.#parameters !== undefined && made.has(this.#parameters.weight)) this.#parameters = undefined;
    this.#forgetBindGroups();
    this.#unpacked = this.#host;
  }

  #forgetBindGroups(): void {
    for (const prepared of this.#prepared.values()) prepared.groups = new WeakMap();
  }

  /** Before a segment makes anything that nobody would let go of. */
  #checkAlive(): void {
    if (this.#destroyed) throw new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');
  }

  /** A lost device takes calls as if well. */
  #checkThere(): void {
    const lost = lossOf(this.device);
    if (lost !== undefined) throw lost;
  }

  #layOut(layerPlan: LayerPlan): Steps {
    const { minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment } = this.device.limits;
    return layOut(this.#spec, layerPlan, Math.max(minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment));
  }

  #prepareNow(layerPlan: LayerPlan, quick: boolean): Prepared {
    const { device } = this;
    const pipelinesOf = (runs: readonly Run[]): GPUComputePipeline[] =>
      runs.map(({ request }) => pipelineNow(device, request));
    const ready = this.#prepared.get(layerPlan);
    if (ready !== undefined) {
      if (!quick && ready.runs !== ready.steps) {
        ready.pipelines = pipelinesOf(ready.steps);
        ready.runs = ready.steps;
      }
      return ready;
    }
    const { steps, tables, scratch, weights } = this.#layOut(layerPlan);
    const runs = this.#runs(steps, quick);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE;
    const prepared: Prepared = {
      steps,
      runs,
      pipelines: pipelinesOf(runs),
      ran: false,
      improving: undefined,
      tables: bufferFrom(device, 'conv-transpose2d tables', usage, new Uint8Array(tables)),
      weights: [...weights.keys()],
      groups: new WeakMap(),
    };
    for (const [name, size] of scratch) this.#makeScratch(name, size);
    this.#makeWeights(weights);
    this.#prepared.set(layerPlan, prepared);
    return prepared;
  }

  /** Makes scratch of at least `size` bytes, and where it replaces some, of at least twice that: little is replaced. */
  #makeScratch(name: ResourceName, size: number): void {
    const { limits } = this.device;
    const old = this.#scratch.get(name);
    const had = old === undefined ? 0 : bytesIn(old);
    if (had >= size) return;
    const texels = name === 'inputTexels';
    const most = texels ? 16 * TEXELS_IN_LINE * limits.maxTextureDimension2D : limits.maxBufferSize;
    const grown = Math.min(Math.max(size, 2 * had), most);
    const label = `conv-transpose2d ${name}`;
    this.#scratch.set(
      name,
      texels
        ? this.#makeTexels(label, grown)
        : makeBuffer(this.device, { label, size: grown, usage: GPUBufferUsage.STORAGE }),
    );
    if (old === undefined) return;
    this.#letGo(old);
    this.#forgetBindGroups();
  }

  #makeTexels(label: string, bytes: number): GPUTexture {
    return makeTexture(this.device, {
      label,
      size: [TEXELS_IN_LINE, Math.ceil(bytes / 16 / TEXELS_IN_LINE)],
      format: TEXEL_FORMAT,
      usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.STORAGE_BINDING,
    });
  }

  #makeWeights(weights: Steps['weights']): void {
    for (const [name, weight] of weights) if (!this.#weightTexels.has(name)) this.#makeWeightTexels(name, weight);
  }

  #makeWeightTexels(name: ResourceName, { step, tables, texels }: WeightStep): void {
    const { device } = this;
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE;
    const made = {
      texture: this.#makeTexels('conv-transpose2d weight texels', 16 * texels),
      step,
      pipeline: pipelineNow(device, step.request),
      tables: bufferFrom(device, 'conv-transpose2d weight tables', usage, new Uint8Array(tables)),
    };
    this.#weightTexels.set(name, made);
    const encoder = device.createCommandEncoder({ label: 'conv-transpose2d weight texels' });
    this.#writeWeightTexels(encoder, name, made);
    device.queue.submit([encoder.finish()]);
  }

  #writeWeightTexels(encoder: GPUCommandEncoder, name: ResourceName, texels: WeightTexels): void {
    const { texture, step, pipeline, tables } = texels;
    const own = new Map<ResourceName, Made>([
      ['tables', tables],
      ['weight', this.#packed().weight],
      [name, texture],
    ]);
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d weight texels' });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.#bindGroup(step, own));
    pass.dispatchWorkgroups(...step.workgroups);
    pass.end();
  }

  /** The bind groups of a pair of tensors: made when they first meet, kept while their buffers live. */
  #bindGroups(prepared: Prepared, input: Required<GpuTensor>, output: Required<GpuTensor>): readonly GPUBindGroup[] {
    let byOutput = prepared.groups.get(input.buffer);
    if (byOutput === undefined) prepared.groups.set(input.buffer, (byOutput = new WeakMap()));
    let byOffsets = byOutput.get(output.buffer);
    if (byOffsets === undefined) byOutput.set(output.buffer, (byOffsets = new Map<string, readonly GPUBindGroup[]>()));
    const key = `${input.offset} ${output.offset}`;
    let groups = byOffsets.get(key);
    if (groups === undefined) {
      if (byOffsets.size >= KEPT_OFFSETS) byOffsets.clear();
      const { weight, bias } = this.#packed();
      const own = new Map<ResourceName, Made>([
        ...this.#scratch,
        ...[...this.#weightTexels].map(([name, { texture }]) => [name, texture] as const),
        ['tables', prepared.tables],
        ['weight', weight],
        ['bias', bias],
        ['input', input.buffer],
        ['output', output.buffer],
      ]);
      const offsets = new Map<ResourceName, number>([
        ['input', input.offset],
        ['output', output.offset],
      ]);
      groups = prepared.steps.map((step) => this.#bindGroup(step, own, offsets));
      byOffsets.set(key, groups);
    }
    return groups;
  }

  #bindGroup(
    { request: { shader }, bindings }: Step,
    resources: ReadonlyMap<ResourceName, Made>,
    offsets?: ReadonlyMap<ResourceName, number>,
  ): GPUBindGroup {
    const resource = ({ name, offset, size }: Step['bindings'][number]): GPUBindingResource => {
      const made = resources.get(name)!;
      return 'size' in made ? { buffer: made, offset: (offsets?.get(name) ?? 0) + offset, size } : made.createView();
    };
    return this.device.createBindGroup({
      label: `conv-transpose2d ${nameOf(shader)}`,
      layout: bindGroupLayout(this.device, shader),
      entries: bindings.map((bound, binding) => ({ binding, resource: resource(bound) })),
    });
  }

  get #packRequest(): PipelineRequest {
    const constants = { WORKGROUP_SIZE: CONVERT_WORKGROUP, FLOAT16: Number(this.#spec.dtype === 'float16') };
    return { shader: 'pack-weight', constants, float16: false };
  }

  /**
   * The packed weights of a layer without a bias, for the caller's own pass to write; `encodeWeightTexels` comes after it,
   * and finds the plan's texels there.
   */
  packedWeight(layerPlan: LayerPlan): GPUBuffer {
    this.#prepareNow(layerPlan, false);
    return this.#packed().weight;
  }

  /** Records what follows from new packed weights. */
  encodeWeightTexels(encoder: GPUCommandEncoder): void {
    for (const [name, texels] of this.#weightTexels) this.#writeWeightTexels(encoder, name, texels);
  }

  /** Permutes the parameters into their packed buffers. A bias is a weight of one input channel and a 1×1 kernel. */
  #pack(weight: GPUBufferBinding, bias: GPUBufferBinding | undefined): void {
    const { device } = this;
    const spec = this.#spec;
    const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
    const { i, o, h, w } = weightStrides(spec);
    const packed = this.#packed();
    const encoder = device.createCommandEncoder({ label: 'conv-transpose2d pack' });
    const uniforms = [
      this.#packPass(encoder, weight, packed.weight, [
        i,
        o,
        h,
        w,
        spec.groups,
        ...spec.kernelSize,
        ins,
        outs,
        paddedOutChannels(spec),
      ]),
    ];
    if (bias === undefined) encoder.clearBuffer(packed.bias);
    else
      uniforms.push(
        this.#packPass(encoder, bias, packed.bias, [0, 1, 0, 0, 1, 1, 1, 1, spec.outChannels, packed.bias.size / 4]),
      );
    this.encodeWeightTexels(encoder);
    device.queue.submit([encoder.finish()]);
    uniforms.forEach((uniform) => {
      uniform.destroy();
    });
  }

  #packPass(encoder: GPUCommandEncoder, source: GPUBufferBinding, target: GPUBuffer, params: number[]): GPUBuffer {
    const { device } = this;
    const bytes = new Uint8Array(Uint32Array.from([...params, 0, 0]).buffer);
    const uniform = bufferFrom(device, 'conv-transpose2d pack params', GPUBufferUsage.UNIFORM, bytes);
    const resources = [{ buffer: uniform }, source, { buffer: target }];
    const group = device.createBindGroup({
      label: 'conv-transpose2d pack-weight',
      layout: bindGroupLayout(device, 'pack-weight'),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d pack' });
    pass.setPipeline(pipelineNow(device, this.#packRequest));
    pass.setBindGroup(0, group);
    const workgroups = Math.ceil(target.size / 4 / CONVERT_WORKGROUP);
    pass.dispatchWorkgroups(...fold(workgroups, device.limits.maxComputeWorkgroupsPerDimension));
    pass.end();
    return uniform;
  }
}

const bytesIn = (made: Made): number => ('size' in made ? made.size : textureBytes(made.width * made.height));
