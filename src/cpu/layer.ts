/** A layer on the CPU. */
import { ConvTranspose2dError } from '../errors.ts';
import type { CpuKernelName, KernelChoice } from '../kernels.ts';
import type { Spec } from '../options.ts';
import type { Capabilities, LayerPlan } from '../plan.ts';
import { allocate, bytesPerElement, hostTensorLike, zeros, type HostData } from '../tensors.ts';
import type { HostTensor, StateDict } from '../types.ts';
import { sharedCpu, type Cpu } from './cpu.ts';
import type { Crew, WasmData } from './engine.ts';
import { floatsOf, storeFloats } from './floats.ts';
import { Parameters } from './parameters.ts';
import { runPlain } from './plain.ts';
import { inSlices } from './slices.ts';
import { planWasm, type WasmPlan } from './wasm-plan.ts';

/** Jobs for each of several threads, so that they end together. */
const JOBS = 12;

export class CpuLayer {
  readonly device = 'cpu';
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  readonly #cpu: Cpu;
  readonly #plans = new WeakMap<LayerPlan, WasmPlan>();
  #parameters: Parameters | undefined;
  /** Of the calls under way. */
  readonly #stops = new Set<AbortController>();
  #destroyed = false;

  /** @param cpu where it runs; tests have their own */
  constructor(spec: Spec, capabilities: Capabilities, cpu: Cpu = sharedCpu()) {
    this.#spec = spec;
    this.#cpu = cpu;
    this.capabilities = { ...capabilities, choose: () => this.#kernel() };
    cpu.enter();
  }

  loadHost(state: StateDict): void {
    this.#parameters?.release();
    this.#parameters = new Parameters(this.#spec, state);
  }

  /** Makes the engine that calls of this shape will run on, and loads the weights there. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    if (layerPlan.parts.length === 0) return;
    const crew = this.#crewFor(layerPlan);
    const engine = await this.#cpu.engineFor(crew);
    if (engine === undefined || this.#parameters?.finite === false) return;
    this.#planned(layerPlan, crew);
    await this.#parameters?.on(engine);
    if (crew.workers > 0) await engine.warm();
  }

  release(layerPlan: LayerPlan): void {
    this.#plans.delete(layerPlan);
  }

  async forward(
    layerPlan: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HostTensor> {
    // Since the call began; after that it is told.
    signal?.throwIfAborted();
    const { plan, parts } = layerPlan;
    const parameters = this.#parameters;
    if (parameters === undefined) throw new Error('a layer is called after its parameters were loaded');
    const [part] = parts;
    // A batch of zero.
    if (part === undefined) return output ?? hostTensorLike(input, plan.outputShape, allocate(plan.bytes.output));

    const stop = new AbortController();
    const onAbort = (): void => {
      stop.abort(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort);
    this.#stops.add(stop);
    parameters.retain();
    try {
      const crew = this.#crewFor(layerPlan);
      const engine = await this.#cpu.engineFor(crew);
      if (engine === undefined || !parameters.finite) {
        return await this.#plain(layerPlan, parameters, input, output, stop.signal);
      }
      const weights = await parameters.on(engine);
      stop.signal.throwIfAborted();
      const task = {
        plan: this.#planned(layerPlan, crew),
        weights,
        input: wordsOf(input.data),
        output: output && wordsOf(output.data),
        outputElements: layerPlan.outputElements,
        crew,
      };
      const words = await engine.forward(task, stop.signal);
      return output ?? hostTensorLike(input, plan.outputShape, words.buffer as ArrayBuffer);
    } finally {
      parameters.release();
      this.#stops.delete(stop);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    for (const stop of this.#stops) stop.abort(new ConvTranspose2dError('DESTROYED', 'the layer was destroyed'));
    this.#parameters?.release();
    this.#parameters = undefined;
    this.#cpu.leave();
  }

  #crewFor({ plan, inputElements, outputElements }: LayerPlan): Crew {
    return this.#cpu.crewFor(plan.usefulFlops, 4 * (inputElements + outputElements));
  }

  #planned(layerPlan: LayerPlan, { workers, caller }: Crew): WasmPlan {
    let planned = this.#plans.get(layerPlan);
    if (planned === undefined) {
      const { activation, negativeSlope } = this.#spec;
      // The CPU has no limits that would cut the layer.
      const { problem } = layerPlan.parts[0]!;
      const threads = workers + (caller ? 1 : 0);
      planned = planWasm({ ...problem, activation, negativeSlope }, { minimumJobs: threads > 1 ? JOBS * threads : 1 });
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
    const elements = plan.bytes.output / bytesPerElement(this.#spec.dtype);
    const result = output ?? hostTensorLike(input, plan.outputShape, allocate(plan.bytes.output));
    const values = result.data instanceof Float32Array ? result.data : zeros(elements);
    const { weight, bias } = await parameters.plain();
    const given = await floatsOf(input.data, stop);
    // The output may lie where the input does.
    const inputValues = given.buffer === values.buffer ? given.slice() : given;
    for (const { problem } of parts) {
      await inSlices(runPlain(problem, this.#spec, inputValues, weight, bias, values), stop);
    }
    await storeFloats(values, result.data, stop);
    return result;
  }

  /** What plans say. */
  #kernel(): KernelChoice {
    const choice = (kernel: CpuKernelName, reason: string): KernelChoice => ({
      kernel,
      reason,
      constants: {},
      workgroups: 1,
    });
    const { variant } = this.#cpu.settings;
    if (variant === undefined) return choice('plain', 'the engine has no WebAssembly SIMD');
    if (this.#parameters?.finite === false) {
      return choice(
        'plain',
        'not all weights are finite, and the WebAssembly would multiply them by the zeros of padding',
      );
    }
    return variant === 'simd'
      ? choice('wasm-simd', 'the engine has WebAssembly SIMD, and no relaxed one')
      : choice('wasm-relaxed-simd', 'the engine has WebAssembly SIMD with multiply-add');
  }
}

/** Float16 as bit patterns. */
function wordsOf(data: HostData): WasmData {
  return data instanceof Float32Array ? data : new Uint16Array(data.buffer, data.byteOffset, data.length);
}
