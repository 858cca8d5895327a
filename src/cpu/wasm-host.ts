/** Layers' weights and calls' tensors in WebAssembly memory. */
import { ConvTranspose2dError } from '../errors.ts';
import type { WasmVariant } from './wasm-module.ts';
import type { WasmPlan } from './wasm-plan.ts';
import { WasmRunner, type WasmAddresses, type WasmJobs } from './wasm-runner.ts';

const PAGE = 65536;
/** What addresses of 32 bits reach, and less for systems that do not lend so much. */
const MAXIMUM_PAGES = [65536, 32768, 16384, 4096];
/** Vectors are read up to here beyond a tensor, and blocks begin at multiples of it. */
const ALIGNMENT = 64;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function outOfMemory(bytes: number, cause?: unknown): ConvTranspose2dError {
  return new ConvTranspose2dError('OUT_OF_MEMORY', `could not allocate ${bytes} bytes of WebAssembly memory`, {
    cause,
  });
}

interface Block {
  readonly start: number;
  readonly end: number;
}

/** Blocks of a memory that grows to what is asked for. What is freed is used again; memory never shrinks. */
export class WasmHeap {
  readonly memory: WebAssembly.Memory;
  readonly #used = new Map<number, Block>();
  /** In ascending order, none next to another. The first bytes stay unused: 0 is no address. */
  #free: Block[] = [{ start: ALIGNMENT, end: PAGE }];

  constructor(shared: boolean) {
    this.memory = createMemory(shared);
  }

  /** @throws ConvTranspose2dError OUT_OF_MEMORY */
  allocate(bytes: number): number {
    const size = aligned(bytes + ALIGNMENT);
    let index = this.#free.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) {
      this.#grow(size);
      index = this.#free.length - 1;
    }
    const [block] = this.#free.splice(index, 1) as [Block];
    const { start } = block;
    this.#used.set(start, { start, end: start + size });
    if (start + size < block.end) this.#free.splice(index, 0, { start: start + size, end: block.end });
    return start;
  }

  free(address: number): void {
    const block = this.#used.get(address);
    if (block === undefined) return;
    this.#used.delete(address);
    this.#insert(block);
  }

  #insert({ start, end }: Block): void {
    const before = this.#free.find((block) => block.end === start);
    const after = this.#free.find((block) => block.start === end);
    const joined = { start: before?.start ?? start, end: after?.end ?? end };
    this.#free = [...this.#free.filter((block) => block !== before && block !== after), joined];
    this.#free.sort((a, b) => a.start - b.start);
  }

  /** Grows the memory until its last free block has `size` bytes. */
  #grow(size: number): void {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.find((block) => block.end === end) ?? { start: end };
    const pages = Math.ceil((size - (end - last.start)) / PAGE);
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw outOfMemory(size, cause);
    }
    this.#insert({ start: end, end: end + pages * PAGE });
  }
}

function createMemory(shared: boolean): WebAssembly.Memory {
  let cause: unknown;
  for (const maximum of MAXIMUM_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared });
    } catch (error) {
      cause = error;
    }
  }
  throw outOfMemory(PAGE, cause);
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

/** Float32 values, or float16 bit patterns. */
export type WasmData = Float32Array | Uint16Array;

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
    this.heap = new WasmHeap(shared);
    this.variant = variant;
    this.#runner = new WasmRunner(this.heap.memory, variant);
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
    const workBytes = aligned(plan.work.size);
    const start = this.heap.allocate(inputBytes + outputBytes + threads * workBytes);
    const { buffer } = this.heap.memory;
    if (input instanceof Float32Array) {
      new Float32Array(buffer, start, input.length).set(input);
    } else {
      const halves = start + input.length * 2;
      new Uint16Array(buffer, halves, input.length).set(input);
      this.#runner.expandFloat16(start, halves, input.length);
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
    const jobs = this.#jobs.get(call) ?? this.#runner.start(call.plan, own);
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
      this.#runner.roundToFloat16(own.output, own.output, outputElements);
      output.set(new Uint16Array(buffer, own.output, outputElements));
    }
  }

  end({ addresses: [own] }: WasmCall): void {
    if (own !== undefined) this.heap.free(own.input);
  }
}
