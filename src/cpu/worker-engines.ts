/** Engines that compute in workers. */
import { CHUNK, newData, LocalEngine, type CallMemory, type Engine, type Task } from './engine.ts';
import { NEXT, STOP } from './messages.ts';
import { inSlices, orAborted } from './slices.ts';
import { Thread } from './thread.ts';
import { relaxedSimd, simd } from './wasm-binary.ts';
import type { WasmData } from './wasm-host.ts';
import type { WasmVariant } from './wasm-module.ts';

const binaries = { simd, relaxedSimd };

/** Threads over a memory that the page shares with them: it copies tensors in and out, they run the jobs. */
export class ThreadsEngine extends LocalEngine {
  readonly #count: number;
  #threads: Promise<readonly Thread[]> | undefined;
  #opened: readonly Thread[] = [];

  /** @param count of threads, started on first use */
  constructor(variant: WasmVariant, count: number) {
    super(variant, true);
    this.#count = count;
  }

  override async warm(): Promise<void> {
    await this.#start();
  }

  override forward(task: Task, stop: AbortSignal): Promise<WasmData> {
    // They start while the input is copied.
    if (task.threads > 0) void this.#start();
    return super.forward(task, stop);
  }

  override dispose(): void {
    this.dead = true;
    for (const thread of this.#opened) thread.terminate();
  }

  protected override async compute(call: CallMemory, task: Task, stop: AbortSignal): Promise<void> {
    const threads = task.threads > 0 ? (await this.#start()).slice(0, task.threads) : [];
    if (threads.length === 0) {
      await super.compute(call, task, stop);
      return;
    }
    stop.throwIfAborted();
    const control = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(control, NEXT, 0);
    const done = Promise.all(
      threads.map((thread, index) => {
        const addresses = call.addresses[index] ?? call.addresses[0];
        return thread.request({ kind: 'jobs', plan: call.plan, addresses, threads: threads.length, control }).reply;
      }),
    );
    call.idle = done;
    await orAborted(done, stop, () => {
      Atomics.store(control, STOP, 1);
    });
  }

  /** The threads; none where workers may not be made. */
  #start(): Promise<readonly Thread[]> {
    this.#threads ??= Promise.all(
      Array.from({ length: this.#count }, async () => {
        const thread = await Thread.open({ variant: this.variant, binaries, memory: this.memory }, () => {
          // What the others compute rests on memory that the dead one may have left half written: all of it goes.
          this.dispose();
        });
        this.#opened = [...this.#opened, thread];
        if (this.dead) thread.terminate();
        return thread;
      }),
    ).catch(() => []);
    return this.#threads;
  }
}

/** A worker with a memory of its own, for pages that may not share one: tensors are sent. */
export class WorkerEngine implements Engine {
  readonly #thread: Thread;
  dead = false;

  private constructor(thread: Thread) {
    this.#thread = thread;
  }

  /** @throws where workers may not be made */
  static async open(variant: WasmVariant): Promise<WorkerEngine> {
    const engine: WorkerEngine = new WorkerEngine(
      await Thread.open({ variant, binaries }, () => {
        engine.dead = true;
      }),
    );
    return engine;
  }

  warm(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): void {
    this.#thread.terminate();
  }

  async load(packed: Float32Array<ArrayBuffer>): Promise<number> {
    return (await this.#thread.request({ kind: 'load', packed }, [packed.buffer]).reply) as number;
  }

  unload(weights: number): void {
    this.#thread.notify({ kind: 'unload', weights });
  }

  async forward(task: Task, stop: AbortSignal): Promise<WasmData> {
    stop.throwIfAborted();
    const input = newData(task.input, task.input.length);
    await inSlices(copy(task.input, input), stop);
    const { id, reply } = this.#thread.request({ kind: 'forward', task: { ...task, input, output: undefined } }, [
      input.buffer as ArrayBuffer,
    ]);
    const made = await orAborted(reply, stop, () => {
      this.#thread.notify({ kind: 'abort', id });
    });
    const result = made as WasmData;
    if (task.output === undefined) return result;
    await inSlices(copy(result, task.output), stop);
    return task.output;
  }
}

function* copy(from: WasmData, to: WasmData): Generator<void, void> {
  for (let first = 0; first < from.length; first += CHUNK) {
    to.set(from.subarray(first, first + CHUNK), first);
    yield;
  }
}
