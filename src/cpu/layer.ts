/** A layer on the CPU. */
import { packWeight } from '../packing.ts';
import type { Spec } from '../options.ts';
import type { Capabilities, LayerPlan } from '../plan.ts';
import { allocate, bytesPerElement, hostTensorLike, storeFloat32, toFloat32Array } from '../tensors.ts';
import type { HostTensor, StateDict } from '../types.ts';
import { runPlain } from './plain.ts';

/** The page gets its turn after so many milliseconds of work. */
const SLICE = 16;

export class CpuLayer {
  readonly device = 'cpu';
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  #weight: Float32Array = new Float32Array();
  #bias: Float32Array = new Float32Array();

  constructor(spec: Spec, capabilities: Capabilities) {
    this.#spec = spec;
    this.capabilities = capabilities;
  }

  loadHost(state: StateDict): void {
    this.#weight = packWeight(this.#spec, toFloat32Array(state.weight));
    this.#bias = state.bias === undefined ? new Float32Array(this.#spec.outChannels) : toFloat32Array(state.bias);
  }

  async prepare(): Promise<void> {
    // Nothing is compiled.
  }

  release(): void {
    // Nothing is kept for a plan.
  }

  async forward(
    { plan, parts }: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HostTensor> {
    const elements = plan.bytes.output / bytesPerElement(this.#spec.dtype);
    const result = output ?? hostTensorLike(input, plan.outputShape, allocate(plan.bytes.output));
    const values = result.data instanceof Float32Array ? result.data : new Float32Array(allocate(4 * elements));
    const [weight, bias] = [this.#weight, this.#bias];
    const inputValues = toFloat32Array(input);
    for (const { problem } of parts) {
      let began = performance.now();
      const work = runPlain(problem, this.#spec, inputValues, weight, bias, values);
      while (work.next().done !== true) {
        if (performance.now() - began < SLICE) continue;
        await turn();
        signal?.throwIfAborted();
        began = performance.now();
      }
    }
    storeFloat32(values, result.data);
    return result;
  }

  destroy(): void {
    // Only memory, and the collector's.
  }
}

/** Resolves after the event loop has had a turn. A message, since timers are throttled to 4 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
