/** What plans have made ahead of their calls: pipelines, tables and scratch; bind groups once tensors are met. */
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

/** A plan with everything made but the bind groups, which name the caller's tensors. */
interface Prepared {
  readonly steps: readonly Step[];
  /** How each step runs: as it says, or quick while that is not compiled yet. */
  runs: readonly (Run | 'page')[];
  /** Of the runs that are the GPU's; none before it is asked for. */
  dispatches: readonly Dispatch[] | undefined;
  /** Whether a call ran quick steps, and after that the compiling of the others. */
  ran: boolean;
  improving: Promise<void> | undefined;
  readonly tables: GPUBuffer;
  /** Of input and output; for a pair of buffers, by offsets. */
  groups: WeakMap<GPUBuffer, WeakMap<GPUBuffer, Map<string | number, readonly GPUBindGroup[]>>>;
}

/** What `encode` records for a step: always of one form, which makes it cheap. */
interface Dispatch {
  readonly step: number;
  readonly pipeline: GPUComputePipeline;
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

const PASS: GPUComputePassDescriptor = { label: 'conv-transpose2d' };
/** Bind groups that are kept for a pair of buffers: one for each pair of offsets. */
const KEPT_OFFSETS = 64;

export class PreparedPlans {
  readonly #device: GPUDevice;
  readonly #spec: Spec;
  readonly #parameters: PackedParameters;
  readonly #retired: Retired;
  readonly #plans = new Map<LayerPlan, Prepared>();
  /** What lives between the steps of a call. Calls run one after the other, so that all plans share it. */
  readonly #scratch = new Map<ResourceName, Made>();

  constructor(device: GPUDevice, spec: Spec, parameters: PackedParameters, retired: Retired) {
    this.#device = device;
    this.#spec = spec;
    this.#parameters = parameters;
    this.#retired = retired;
  }

  /** Whether all is made; with `quick`, what compiles sooner will do. */
  has(layerPlan: LayerPlan, quick: boolean): boolean {
    const ready = this.#plans.get(layerPlan);
    return ready?.dispatches !== undefined && (quick || ready.runs === ready.steps);
  }

  layOut(layerPlan: LayerPlan): Steps {
    const { minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment } = this.#device.limits;
    return layOut(this.#spec, layerPlan, Math.max(minStorageBufferOffsetAlignment, minUniformBufferOffsetAlignment));
  }

  /** Compiles without blocking. Kernels come last and take longest. */
  compile(steps: readonly Step[], quick: boolean): Promise<GPUComputePipeline[]> {
    const runs = this.#runs(steps, quick).filter((run) => run !== 'page');
    return Promise.all(runs.reverse().map(({ request }) => pipelineSoon(this.#device, request)));
  }

  /** Makes what a plan lacks, compiled now if it must be. */
  make(layerPlan: LayerPlan, quick: boolean): void {
    this.#dispatchesOf(this.#lay(layerPlan, quick));
  }

  /** Makes what a call will name, while pipelines may still be compiled. */
  layFor(
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
    quick: boolean,
    texels?: GPUTexture,
  ): void {
    this.#bindGroups(this.#lay(layerPlan, quick), input, output, texels);
  }

  /** What a plan has, pipelines aside. */
  #lay(layerPlan: LayerPlan, quick: boolean): Prepared {
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
      ...{ steps, runs: this.#runs(steps, quick), dispatches: undefined, ran: false, improving: undefined },
      tables: tableFrom(this.#device, 'conv-transpose2d tables', tables),
      groups: new WeakMap(),
    };
    for (const [name, size] of scratch) this.#makeScratch(name, size);
    if (scratch.has('inputTexels')) this.#parameters.makeTexels();
    this.#plans.set(layerPlan, prepared);
    // More than there are plans: calls under way have plans that are not kept any more.
    const [oldest] = this.#plans.keys();
    if (oldest !== undefined && this.#plans.size > KEPT_PLANS) this.release(oldest);
    return prepared;
  }

  #dispatchesOf(prepared: Prepared): readonly Dispatch[] {
    return (prepared.dispatches ??= prepared.runs.flatMap((run, step) =>
      run === 'page' ? [] : [dispatch(step, pipelineNow(this.#device, run.request), run)],
    ));
  }

  /** The input's texels, written by the page: for a call that may come before what writes them is compiled. They are its own. */
  texelsOf(layerPlan: LayerPlan, input: HostTensor): GPUTexture | undefined {
    const problem = this.has(layerPlan, false) ? undefined : writtenByPage(layerPlan);
    if (problem === undefined) return undefined;
    const texels = makeTexels(this.#device, 'conv-transpose2d input texels', layerPlan.texels);
    writeTexels(this.#device, texels, packInput(problem, layerPlan.texels, toFloat32Array(input)));
    return texels;
  }

  /** Records a call by what is made, or makes it; with `quick`, by what compiles sooner; `texels` as `texelsOf` gives them. */
  encode(
    encoder: GPUCommandEncoder,
    layerPlan: LayerPlan,
    input: Required<GpuTensor>,
    output: Required<GpuTensor>,
    quick: boolean,
    texels?: GPUTexture,
  ): void {
    const prepared = this.#plans.get(layerPlan) ?? this.#lay(layerPlan, quick);
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

  /** From now on a pass does what was the page's to do. */
  #writeByPass(prepared: Prepared): void {
    const { runs, steps } = prepared;
    if (!runs.includes('page')) return;
    prepared.runs = runs.map((run, i) => (run === 'page' ? steps[i]! : run));
    prepared.dispatches = undefined;
  }

  /** How steps run: with `quick`, by what compiles sooner where the rest is not compiled yet. */
  #runs(steps: readonly Step[], quick: boolean): Prepared['runs'] {
    const runs = steps.map((step) =>
      quick && step.quick !== undefined && !isCompiled(this.#device, step.request) ? step.quick : step,
    );
    return runs.every((run, i) => run === steps[i]) ? steps : runs;
  }

  /** From the second call that runs quick steps on, the others are compiled beside the calls, which take them once they are there. */
  #improve(prepared: Prepared): void {
    if (prepared.ran) {
      prepared.improving ??= Promise.all(prepared.steps.map(({ request }) => pipelineSoon(this.#device, request))).then(
        (pipelines) => {
          prepared.dispatches = prepared.steps.map((run, step) => dispatch(step, pipelines[step]!, run));
          prepared.runs = prepared.steps;
        },
        () => undefined,
      );
    }
    prepared.ran = true;
  }

  /** Lets go of what a plan was prepared to. */
  release(layerPlan: LayerPlan): void {
    const prepared = this.#plans.get(layerPlan);
    if (prepared === undefined) return;
    this.#plans.delete(layerPlan);
    this.#retired.add(prepared.tables);
  }

  /**
   * Forgets plans whose tables are gone; with what all plans share, all of them. What a caller's encoder may name is taken out
   * of `gone` and retired.
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

  /** Makes scratch of at least `size` bytes, and where it replaces some, of at least twice that: little is replaced. */
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
