/** WebAssembly memory that holds layers' weights and calls' tensors, and what runs on it, in steps that the event loop can come between. */
import { allocate, zeros } from '../tensors.ts';
import { aligned, ALIGNMENT, WasmHeap } from './wasm-heap.ts';
import type { WasmPlan } from './wasm-plan.ts';
import type { WasmAddresses, WasmRunner } from './wasm-runner.ts';
import { inSlices } from './slices.ts';

/** Elements that are copied in one step: well below a millisecond. */
export const CHUNK: number = 2 ** 17;

/** Float32 values, or float16 bit patterns. */
export type WasmData = Float32Array | Uint16Array;

/** Who computes a call. */
export interface Crew {
  readonly workers: number;
  /** Whether the calling thread computes, too. Always true without workers. */
  readonly caller: boolean;
}

/** A call on an engine: what it computes, from what, and where to. */
export interface Task {
  readonly plan: WasmPlan;
  /** Where the engine keeps the weights. */
  readonly weights: number;
  readonly input: WasmData;
  /** Left out: a new one is made. */
  readonly output: WasmData | undefined;
  readonly outputElements: number;
  readonly crew: Crew;
}

/** A call's memory: one block. */
export interface CallMemory {
  readonly plan: WasmPlan;
  /** Of the calling thread, then of each worker: they differ in `work`. */
  readonly addresses: readonly [WasmAddresses, ...WasmAddresses[]];
  /** The new array that the output will be copied to, if it is made before workers compute: its pages are allocated meanwhile. */
  fresh: WasmData | undefined;
  /** Workers may still use it until this resolves, as it always does. */
  idle: Promise<unknown> | undefined;
}

/** Where calls run: on the calling thread, or in workers. Weights are kept in the engine's memory. */
export interface Engine {
  /** Whether its memory is lost: it takes no more calls. */
  readonly dead: boolean;
  /** Starts its workers, if it has any, ahead of the first call. */
  warm(): Promise<void>;
  /** Ends its workers. */
  dispose(): void;
  /** @returns what `Task` names the weights by. @throws ConvTranspose2dError OUT_OF_MEMORY */
  load(packed: Float32Array<ArrayBuffer>): Promise<number>;
  unload(weights: number): void;
  /** @returns the output. @throws ConvTranspose2dError OUT_OF_MEMORY, DEVICE_LOST; the signal's reason */
  forward(task: Task, stop: AbortSignal): Promise<WasmData>;
}

/** An engine on the calling thread, in slices. */
export class LocalEngine implements Engine {
  dead = false;
  readonly #heap: WasmHeap;
  protected readonly runner: WasmRunner;

  /** @param runner on a memory that is the engine's alone, or that other threads run the engine's jobs on */
  constructor(runner: WasmRunner) {
    this.#heap = new WasmHeap(runner.memory);
    this.runner = runner;
  }

  warm(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): void {
    // Only memory, and the collector's.
  }

  async load(packed: Float32Array<ArrayBuffer>): Promise<number> {
    const address = this.#heap.allocate(packed.byteLength);
    await inSlices(this.#copyIn(address, packed));
    return address;
  }

  unload(weights: number): void {
    this.#heap.free(weights);
  }

  async forward(task: Task, stop: AbortSignal): Promise<WasmData> {
    stop.throwIfAborted();
    const { input, outputElements } = task;
    const call = this.#begin(task);
    try {
      await inSlices(this.#copyIn(call.addresses[0].input, input), stop);
      await this.compute(call, task, stop);
      // A new one as late as here, so that it is still in the caches when it is read.
      const output = task.output ?? call.fresh ?? newData(input, outputElements);
      await inSlices(this.#copyOut(call, output), stop);
      return output;
    } finally {
      const free = (): void => {
        this.#heap.free(call.addresses[0].input);
      };
      if (call.idle === undefined) free();
      else void call.idle.then(free);
    }
  }

  /** Runs the jobs of a call. */
  protected compute(call: CallMemory, _task: Task, stop: AbortSignal): Promise<void> {
    return inSlices(this.#run(call), stop);
  }

  #begin({ plan, weights, input, outputElements, crew }: Task): CallMemory {
    // One block, so that the next call of this size reuses it.
    const inputBytes = aligned(input.length * 4 + ALIGNMENT);
    const outputBytes = aligned(outputElements * 4 + ALIGNMENT);
    const workBytes = aligned(plan.workBytes);
    const start = this.#heap.allocate(inputBytes + outputBytes + (1 + crew.workers) * workBytes);
    const output = start + inputBytes;
    const addresses = Array.from({ length: 1 + crew.workers }, (_, thread) => ({
      input: start,
      weights,
      output,
      work: output + outputBytes + thread * workBytes,
    }));
    return { plan, addresses: addresses as [WasmAddresses, ...WasmAddresses[]], fresh: undefined, idle: undefined };
  }

  *#copyIn(address: number, data: WasmData): Generator<void, void> {
    for (let first = 0; first < data.length; first += CHUNK) {
      const chunk = data.subarray(first, first + CHUNK);
      const target = address + first * 4;
      const { buffer } = this.runner.memory;
      if (chunk instanceof Float32Array) {
        new Float32Array(buffer, target, chunk.length).set(chunk);
      } else {
        const halves = target + chunk.length * 2;
        new Uint16Array(buffer, halves, chunk.length).set(chunk);
        this.runner.code.expandFloat16(target, halves, chunk.length);
      }
      yield;
    }
  }

  *#run({ plan, addresses: [own] }: CallMemory): Generator<void, void> {
    const jobs = this.runner.start(plan.words, own);
    for (let job = 0; job < plan.jobs; job++) {
      jobs(job, job + 1);
      yield;
    }
  }

  *#copyOut({ addresses: [{ output }] }: CallMemory, data: WasmData): Generator<void, void> {
    for (let first = 0; first < data.length; first += CHUNK) {
      const chunk = data.subarray(first, first + CHUNK);
      const source = output + first * 4;
      const { buffer } = this.runner.memory;
      if (chunk instanceof Float32Array) {
        chunk.set(new Float32Array(buffer, source, chunk.length));
      } else {
        this.runner.code.roundToFloat16(source, source, chunk.length);
        chunk.set(new Uint16Array(buffer, source, chunk.length));
      }
      yield;
    }
  }
}

/** Data of the same kind. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function newData(like: WasmData, elements: number): WasmData {
  return like instanceof Float32Array ? zeros(elements) : new Uint16Array(allocate(elements * 2));
}
