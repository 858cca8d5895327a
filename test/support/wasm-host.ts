/** Runs the CPU path's WebAssembly without its engines, synchronously and step by step, so that tests can interfere in between. */
import { aligned, ALIGNMENT, newMemory, WasmHeap } from '../../src/cpu/wasm-heap.ts';
import type { WasmData } from '../../src/cpu/engine.ts';
import type { WasmVariant } from '../../src/cpu/variant.ts';
import { wasmModule } from '../../src/cpu/wasm-module.ts';
import type { WasmPlan } from '../../src/cpu/wasm-plan.ts';
import { WasmRunner, type WasmAddresses, type WasmJobs } from '../../src/cpu/wasm-runner.ts';

const modules = {
  simd: [await wasmModule('simd', false), await wasmModule('simd', true)],
  'relaxed-simd': [await wasmModule('relaxed-simd', false), await wasmModule('relaxed-simd', true)],
} as const;

/** A thread's own runner. */
export function runnerOn(memory: WebAssembly.Memory, variant: WasmVariant, shared: boolean): WasmRunner {
  return new WasmRunner(memory, new WebAssembly.Instance(modules[variant][shared ? 1 : 0], { env: { memory } }));
}

/** A call's tensors in memory. Plain data, for a thread that runs some of its jobs. */
export interface WasmCall {
  readonly plan: WasmPlan;
  /** One for each thread: they differ in `work`. */
  readonly addresses: readonly WasmAddresses[];
  /** Elements of the input and the output. */
  readonly inputElements: number;
  readonly outputElements: number;
}

/**
 * Copies data in, runs jobs, and copies results out, on the calling thread. A call goes through `begin`, its jobs in any order and on
 * any threads, `read` and `end`:
 *
 *     const weights = host.load(packForWasm(spec, weight, bias));
 *     const call = host.begin(plan, weights, input, outputElements);
 *     host.run(call);
 *     host.read(call, output);
 *     host.end(call);
 */
export class WasmHost {
  readonly heap: WasmHeap;
  readonly variant: WasmVariant;
  readonly #runner: WasmRunner;
  readonly #jobs = new WeakMap<WasmCall, WasmJobs>();

  /** @param shared whether other threads will run jobs */
  constructor(variant: WasmVariant, shared = false) {
    this.heap = new WasmHeap(newMemory(shared));
    this.variant = variant;
    this.#runner = runnerOn(this.heap.memory, variant, shared);
  }

  /** Keeps packed weights in memory until `unload`. @returns their address */
  load(packed: Float32Array): number {
    const address = this.heap.allocate(packed.byteLength);
    new Float32Array(this.heap.memory.buffer, address, packed.length).set(packed);
    return address;
  }

  unload(weights: number): void {
    this.heap.free(weights);
  }

  /** @throws ConvTranspose2dError OUT_OF_MEMORY */
  begin(plan: WasmPlan, weights: number, input: WasmData, outputElements: number, threads = 1): WasmCall {
    // One block, so that calls of one size find the same one again.
    const inputBytes = aligned(input.length * 4 + ALIGNMENT);
    const outputBytes = aligned(outputElements * 4 + ALIGNMENT);
    const workBytes = aligned(plan.workBytes);
    const start = this.heap.allocate(inputBytes + outputBytes + threads * workBytes);
    const { buffer } = this.heap.memory;
    if (input instanceof Float32Array) {
      new Float32Array(buffer, start, input.length).set(input);
    } else {
      const halves = start + input.length * 2;
      new Uint16Array(buffer, halves, input.length).set(input);
      this.#runner.code.expandFloat16(start, halves, input.length);
    }
    const output = start + inputBytes;
    const addresses = Array.from({ length: threads }, (_, thread) => ({
      input: start,
      weights,
      output,
      work: output + outputBytes + thread * workBytes,
    }));
    return { plan, addresses, inputElements: input.length, outputElements };
  }

  /** Runs jobs `first` to `end` − 1. */
  run(call: WasmCall, first = 0, end: number = call.plan.jobs): void {
    const [own] = call.addresses;
    if (own === undefined) return;
    const jobs = this.#jobs.get(call) ?? this.#runner.start(call.plan.words, own);
    this.#jobs.set(call, jobs);
    jobs(first, end);
  }

  /** Copies the output out, once: float16 is rounded in place. */
  read({ addresses: [own], outputElements }: WasmCall, output: WasmData): void {
    if (own === undefined) return;
    const { buffer } = this.heap.memory;
    if (output instanceof Float32Array) {
      output.set(new Float32Array(buffer, own.output, outputElements));
    } else {
      this.#runner.code.roundToFloat16(own.output, own.output, outputElements);
      output.set(new Uint16Array(buffer, own.output, outputElements));
    }
  }

  end({ addresses: [own] }: WasmCall): void {
    if (own !== undefined) this.heap.free(own.input);
  }
}
