/** Runs the jobs of a plan on the WebAssembly module, synchronously, in whatever thread it is called. */
import type { WasmExports } from './wasm-exports.ts';
import type { WasmPlan } from './wasm-plan.ts';

/** Byte addresses in the module's memory. */
export interface WasmAddresses {
  readonly input: number;
  /** Of what `packForWasm` made. */
  readonly weights: number;
  readonly output: number;
  /** `plan.workBytes` bytes of a thread's own. */
  readonly work: number;
}

/** Runs jobs `first` to `end` − 1, on the calling thread. */
export type WasmJobs = (first: number, end: number) => void;

/** The module over one memory. It keeps no state between calls, so that each thread may have its own over the same memory. */
export class WasmRunner {
  readonly memory: WebAssembly.Memory;
  readonly code: WasmExports;

  constructor(memory: WebAssembly.Memory, { exports }: WebAssembly.Instance) {
    this.memory = memory;
    this.code = exports as unknown as WasmExports;
  }

  /** Instantiates the module. @param memory shared, if the module is for that */
  static async open(memory: WebAssembly.Memory, module: WebAssembly.Module): Promise<WasmRunner> {
    // Not by the constructor of Instance: see wasm-module.ts.
    return new WasmRunner(memory, await WebAssembly.instantiate(module, { env: { memory } }));
  }

  /**
   * Starts on a plan, whose jobs the function that is returned then runs, as often as it is called. It keeps what one job leaves
   * to the next in the work memory: neighbouring jobs are best run by the same thread.
   */
  start(words: WasmPlan['words'], { input, weights, output, work }: WasmAddresses): WasmJobs {
    const head = new Int32Array(this.memory.buffer, work, words.length);
    head.set(words);
    head.set([input, weights, output]);
    return (first, end) => {
      this.code.run(work, first, end);
    };
  }
}
