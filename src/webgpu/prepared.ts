/** What is made once for each plan: pipelines, tables, scratch memory and, when tensors are first seen, their bind groups. */
import type { Spec } from '../options.ts';
import { packInput } from '../packing.ts';
import { KEPT_PLANS, type LayerPlan } from '../plan.ts';
import { TEXELS_IN_LINE, textureBytes } from '../texels.ts';
import { toFloat32Array } from '../tensors.ts';
import type { GpuTensor, HostTensor } from '../types.ts';
import { makeTexels, tableFrom, writeTexels } from './buffers.ts';
import type { PackedParameters } from './packed-parameters.ts';
import { bindGroup, isCompiled, pipelineNow, pipelineSoon } from './pipelines.ts';
import type { Retired } from './retired.ts';
import { makeBuffer, type Made } from './scopes.ts';
import { layOut, resourcesOf, writtenByPage, type ResourceName, type Run, type Step, type Steps } from './steps.ts';

/** A plan and what was made for it. */
interface Prepared {
  readonly steps: readonly Step[];
  /** How each step runs: as planned, or by its `quick` way while the planned pipeline is not compiled yet. */
  runs: readonly (Run | 'page')[];
  /** The runs that are dispatches, with their pipelines; undefined until they are first needed. */
  dispatches: readonly Dispatch[] | undefined;
  /** How many calls have run quick steps. */
  quickCalls: number;
  readonly tables: GPUBuffer;
  /** By input buffer, output buffer and offsets: one bind group for each step. */
  groups: WeakMap<GPUBuffer, WeakMap<GPUBuffer, Map<string | number, readonly GPUBindGroup[]>>>;
}

/** What `encode` records for a step. All have the same hidden class, which makes reading them cheap. */
interface Dispatch {
  readonly step: number;
  readonly pipeline: GPUComputePipeline;
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

const PASS: GPUComputePassDescriptor = { label: 'conv-transpose2d' };
/** For how many pairs of offsets the bind groups of a pair of buffers are kept. */
const KEPT_OFFSETS = 64;

export class PreparedPlans {
  readonly #device: GPUDevice;
  readonly #spec: Spec;
  readonly #parameters: PackedParameters;
  readonly #retired: Retired;
  readonly #plans = new Map<LayerPlan, Prepared>();
  /** What one step of a call writes for the next. The GPU runs calls one after the other, so all plans share it. */
  readonly #scratch = new Map<ResourceName, Made>();

  constructor(device: GPUDevice, spec: Spec, parameters: PackedParameters, retired: Retired) {
    this.#device = device;
    this.#spec = spec;
    this.#parameters = parameters;
    this.#retired = retired;
  }

  /** Whether everything is made; with `quick`, quick pipelines are enough. */
  has(layerPlan: LayerPlan, quick: boolean): boolean {
    const ready = this.#plans.get(layerPlan);
    return ready?.dispatches !== undefined && (quick || ready.runs === ready.steps);
  }

  layOut(layerPlan: LayerPlan): Steps {
    const { minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment } = this.#device.limits;
    return layOut(this.#spec, layerPlan, Math.max(minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment));
  }

  /** Compiles without blocking. In reverse, since the last step, the kernel, takes longest. */
  compile(steps: readonly Step[], quick: boolean): Promise<GPUComputePipeline[]> {
    const runs = this.#runs(steps, quick).filter((run) => run !== 'page');
    return Promise.all(runs.reverse().map(({ request }) => pipelineSoon(this.#device, request)));
  }

  /** Makes what a plan lacks, compiled now if it must be. */
  make(layerPlan: LayerPlan): void {
    this.#dispatchesOf(this.#prepare(layerPlan, false));
  }

  /** Makes all that a call needs except for pipelines, which may still be compiling. */
  prepareFor(
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
    quick: boolean,
    texels?: GPUTexture,
  ): void {
    this.#bindGroups(this.#prepare(layerPlan, quick), input, output, texels);
  }

  /** What is made for a plan, without its pipelines. */
  #prepare(layerPlan: LayerPlan, quick: boolean): Prepared {
    const ready = this.#plans.get(layerPlan);
    if (ready !== undefined) {
      if (!quick && ready.runs !== ready.steps) {
        ready.runs = ready.steps;
        ready.dispatches = undefined;
      }
      return ready;
    }
    const { steps, tables, scratch } = this.layOut(layerPlan);
    const prepared: Prepared = {
      ...{ steps, runs: this.#runs(steps, quick), dispatches: undefined, quickCalls: 0 },
      tables: tableFrom(this.#device, 'conv-transpose2d tables', tables),
      groups: new WeakMap(),
    };
    for (const [name, size] of scratch) this.#makeScratch(name, size);
    if (scratch.has('inputTexels')) this.#parameters.makeTexels();
    this.#plans.set(layerPlan, prepared);
    // There may be more than the layer keeps: running calls still use plans that it has dropped.
    const [oldest] = this.#plans.keys();
    if (oldest !== undefined && this.#plans.size > KEPT_PLANS) this.release(oldest);
    return prepared;
  }

  #dispatchesOf(prepared: Prepared): readonly Dispatch[] {
    return (prepared.dispatches ??= prepared.runs.flatMap((run, step) =>
      run === 'page' ? [] : [dispatch(step, pipelineNow(this.#device, run.request), run)],
    ));
  }

  /** The input's texels, written by JavaScript for a call that would otherwise wait for the pass that writes them to be compiled. */
  texelsOf(layerPlan: LayerPlan, input: HostTensor): GPUTexture | undefined {
    const problem = this.has(layerPlan, false) ? undefined : writtenByPage(layerPlan);
    if (problem === undefined) return undefined;
    const texels = makeTexels(this.#device, 'conv-transpose2d input texels', layerPlan.texels);
    writeTexels(this.#device, texels, packInput(problem, layerPlan.texels, toFloat32Array(input)));
    return texels;
  }

  /** Records a call, making what is missing; with `quick`, by quick steps where the planned are not compiled. `texels`: see `texelsOf`. */
  encode(
    encoder: GPUCommandEncoder,
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
    quick: boolean,
    texels?: GPUTexture,
  ): void {
    const prepared = this.#plans.get(layerPlan) ?? this.#prepare(layerPlan, quick);
    const { steps } = prepared;
    if (steps.length === 0) return;
    if (prepared.runs !== steps) {
      this.#improve(prepared);
      if (texels === undefined) this.#writeByPass(prepared);
    }
    const dispatches = this.#dispatchesOf(prepared);
    const groups = this.#bindGroups(prepared, input, output, texels);
    const pass = encoder.beginComputePass(PASS);
    for (const { step, pipeline, x, y, z } of dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, groups[step]);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
  }

  /** From now on a pass writes the input's texels, no longer JavaScript. */
  #writeByPass(prepared: Prepared): void {
    const { runs, steps } = prepared;
    if (!runs.includes('page')) return;
    prepared.runs = runs.map((run, i) => (run === 'page' ? steps[i]! : run));
    prepared.dispatches = undefined;
  }

  /** How steps run: as planned or, with `quick`, by their quick way where the planned pipeline is not compiled yet. */
  #runs(steps: readonly Step[], quick: boolean): Prepared['runs'] {
    const runs = steps.map((step) =>
      quick && step.quick !== undefined && !isCompiled(this.#device, step.request) ? step.quick : step,
    );
    return runs.every((run, i) => run === steps[i]) ? steps : runs;
  }

  /** With the second call that runs quick steps, compiles the planned pipelines in the background; calls use them once they are ready. */
  #improve(prepared: Prepared): void {
    prepared.quickCalls++;
    if (prepared.quickCalls !== 2) return;
    const { steps } = prepared;
    Promise.all(steps.map(({ request }) => pipelineSoon(this.#device, request))).then(
      (pipelines) => {
        prepared.dispatches = steps.map((run, step) => dispatch(step, pipelines[step]!, run));
        prepared.runs = steps;
      },
      () => undefined,
    );
  }

  /** Releases what was made for a plan. */
  release(layerPlan: LayerPlan): void {
    const prepared = this.#plans.get(layerPlan);
    if (prepared === undefined) return;
    this.#plans.delete(layerPlan);
    this.#retired.add(prepared.tables);
  }

  /**
   * Forgets plans whose tables are among `gone`, or all plans if something that they share is. What a caller's encoder may still
   * refer to is taken out of `gone` and retired instead of destroyed.
   */
  forget(gone: Set<Made>, sharedIsGone: boolean): void {
    let all = sharedIsGone;
    for (const [name, made] of this.#scratch) {
      if (!gone.delete(made)) continue;
      this.#scratch.delete(name);
      this.#retired.add(made);
      all = true;
    }
    for (const [plan, { tables }] of this.#plans) if (gone.delete(tables) || all) this.release(plan);
    this.#forgetBindGroups();
  }

  destroy(): void {
    for (const { tables } of this.#plans.values()) tables.destroy();
    for (const made of this.#scratch.values()) made.destroy();
    this.#plans.clear();
    this.#scratch.clear();
  }

  /** Makes scratch of at least `size` bytes. To be replaced rarely, it at least doubles each time. */
  #makeScratch(name: ResourceName, size: number): void {
    const { limits } = this.#device;
    const old = this.#scratch.get(name);
    const had = old === undefined ? 0 : bytesIn(old);
    if (had >= size) return;
    const texels = name === 'inputTexels';
    const most = texels ? 16 * TEXELS_IN_LINE * limits.maxTextureDimension2D : limits.maxBufferSize;
    const grown = Math.min(Math.max(size, 2 * had), most);
    const label = `conv-transpose2d ${name}`;
    const made = texels
      ? makeTexels(this.#device, label, grown / 16)
      : makeBuffer(this.#device, { label, size: grown, usage: GPUBufferUsage.STORAGE });
    this.#scratch.set(name, made);
    if (old === undefined) return;
    this.#retired.add(old);
    this.#forgetBindGroups();
  }

  #forgetBindGroups(): void {
    for (const prepared of this.#plans.values()) prepared.groups = new WeakMap();
  }

  /** The bind groups of a pair of tensors: made when they first meet, kept while their buffers live. */
  #bindGroups(
    prepared: Prepared,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
    texels?: GPUTexture,
  ): readonly GPUBindGroup[] {
    let byOutput = prepared.groups.get(input.buffer);
    if (byOutput === undefined) prepared.groups.set(input.buffer, (byOutput = new WeakMap()));
    let byOffsets = byOutput.get(output.buffer);
    if (byOffsets === undefined)
      byOutput.set(output.buffer, (byOffsets = new Map<string | number, readonly GPUBindGroup[]>()));
    const key = input.offset === 0 ? output.offset : `${input.offset} ${output.offset}`;
    let groups = byOffsets.get(key);
    if (groups === undefined) {
      if (byOffsets.size >= KEPT_OFFSETS) byOffsets.clear();
      const named = new Map<ResourceName, Made>([
        ...this.#scratch,
        ...this.#parameters.resources,
        ['tables', prepared.tables],
        ['input', input.buffer],
        ['output', output.buffer],
      ]);
      if (texels !== undefined) named.set('inputTexels', texels);
      const offsets = { input: input.offset, output: output.offset };
      groups = prepared.steps.map((step) =>
        bindGroup(this.#device, step.request.shader, resourcesOf(step, named, offsets)),
      );
      byOffsets.set(key, groups);
    }
    return groups;
  }
}

const bytesIn = (made: Made): number => ('size' in made ? made.size : textureBytes(made.width * made.height));

function dispatch(step: number, pipeline: GPUComputePipeline, { workgroups: [x, y, z] }: Run): Dispatch {
  return { step, pipeline, x, y, z };
}
