/** A layer's calls on the CPU. */
import type { Spec } from '../options.ts';
import { loadPlain } from '../load.ts';
import type { LayerPlan } from '../plan.ts';
import { allocate, bitsOf, bytesPerElement, hostTensorLike, zeros, type HostData } from '../tensors.ts';
import type { HostTensor } from '../types.ts';
import { sharedCpu, type Cpu } from './cpu.ts';
import type { Crew, WasmData } from './engine.ts';
import { floatsOf, storeFloats } from './floats.ts';
import { orAborted } from './or-aborted.ts';
import { Parameters } from './parameters.ts';
import { inSlices } from './slices.ts';
import type { LoadedState } from './state.ts';
import { planWasm, type WasmPlan } from './wasm-plan.ts';

/** Jobs for each thread if there are several: enough for them to finish at about the same time. */
const JOBS = 12;

/** The part of a layer on the CPU that computes. `CpuLayer` loads it with its first call. */
export class CpuCalls {
  readonly #spec: Spec;
  readonly #cpu: Cpu;
  readonly #plans = new WeakMap<LayerPlan, WasmPlan>();
  /** The parameters of the state that was used last. */
  #parameters: Parameters | undefined;

  constructor(spec: Spec, cpu: Cpu = sharedCpu()) {
    this.#spec = spec;
    this.#cpu = cpu;
    cpu.enter();
  }

  /** Makes the engine that calls of this shape will run on, and loads the weights there. */
  async prepare(layerPlan: LayerPlan, state: LoadedState): Promise<void> {
    if (layerPlan.parts.length === 0) return;
    const parameters = this.#parametersOf(state);
    parameters.retain();
    try {
      const crew = this.#crewFor(layerPlan);
      const engine = await this.#cpu.engineFor(crew);
      if (engine === undefined || !state.finite) return;
      this.#planned(layerPlan, crew);
      await parameters.on(engine);
      if (crew.workers > 0) await engine.warm();
    } finally {
      parameters.release();
    }
  }

  async forward(
    layerPlan: LayerPlan,
    state: LoadedState,
    input: HostTensor,
    output: HostTensor | undefined,
    stop: AbortSignal,
  ): Promise<HostTensor> {
    const { plan, parts } = layerPlan;
    const [part] = parts;
    // A batch of zero.
    if (part === undefined) return output ?? hostTensorLike(input, plan.outputShape, allocate(plan.bytes.output));

    const parameters = this.#parametersOf(state);
    parameters.retain();
    try {
      const crew = this.#crewFor(layerPlan);
      const engine = await this.#cpu.engineFor(crew);
      if (engine === undefined || !state.finite) return await this.#plain(layerPlan, parameters, input, output, stop);
      const weights = await parameters.on(engine);
      stop.throwIfAborted();
      const task = {
        plan: this.#planned(layerPlan, crew),
        weights,
        input: wordsOf(input.data),
        output: output && wordsOf(output.data),
        outputElements: layerPlan.outputElements,
        crew,
      };
      const words = await engine.forward(task, stop);
      return output ?? hostTensorLike(input, plan.outputShape, words.buffer as ArrayBuffer);
    } finally {
      parameters.release();
    }
  }

  destroy(): void {
    this.#parameters?.release();
    this.#parameters = undefined;
    this.#cpu.leave();
  }

  #parametersOf(state: LoadedState): Parameters {
    if (this.#parameters?.state !== state) {
      this.#parameters?.release();
      this.#parameters = new Parameters(this.#spec, state);
    }
    return this.#parameters;
  }

  #crewFor({ plan, inputElements, outputElements }: LayerPlan): Crew {
    return this.#cpu.crewFor(plan.usefulFlops, 4 * (inputElements + outputElements));
  }

  #planned(layerPlan: LayerPlan, { workers, caller }: Crew): WasmPlan {
    let planned = this.#plans.get(layerPlan);
    if (planned === undefined) {
      const { activation, negativeSlope } = this.#spec;
      // The only part: the CPU has no limits that would split a call.
      const { problem } = layerPlan.parts[0]!;
      const threads = workers + (caller ? 1 : 0);
      const cuts = { minimumJobs: threads > 1 ? JOBS * threads : 1 };
      planned = planWasm({ ...problem, activation, negativeSlope }, cuts);
      this.#plans.set(layerPlan, planned);
    }
    return planned;
  }

  async #plain(
    { plan, parts }: LayerPlan,
    parameters: Parameters,
    input: HostTensor,
    output: HostTensor | undefined,
    stop: AbortSignal,
  ): Promise<HostTensor> {
    const { runPlain } = await orAborted(loadPlain(), stop);
    const elements = plan.bytes.output / bytesPerElement(this.#spec.dtype);
    const result = output ?? hostTensorLike(input, plan.outputShape, allocate(plan.bytes.output));
    const values = result.data instanceof Float32Array ? result.data : zeros(elements);
    const { weight, bias } = await parameters.plain();
    const given = await floatsOf(input.data, stop);
    // The plain path reads inputs after it has written outputs, so it needs a copy if both share memory.
    const inputValues = given.buffer === values.buffer ? given.slice() : given;
    for (const { problem } of parts) {
      await inSlices(runPlain(problem, this.#spec, inputValues, weight, bias, values), stop);
    }
    await storeFloats(values, result.data, stop);
    return result;
  }
}

/** Float16 as bit patterns. */
function wordsOf(data: HostData): WasmData {
  return data instanceof Float32Array ? data : bitsOf(data);
}
