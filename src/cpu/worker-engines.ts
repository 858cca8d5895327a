/** Engines that compute in workers. */
import { close, isStopped, newBoard, stopAll, takePartAndFinish } from './board.ts';
import { CHUNK, newData, LocalEngine, type CallMemory, type Engine, type Task, type WasmData } from './engine.ts';
import { Help } from './help.ts';
import { orAborted } from './or-aborted.ts';
import { inSlices } from './slices.ts';
import { Thread } from './thread.ts';
import type { WasmPlan } from './wasm-plan.ts';
import type { WasmRunner } from './wasm-runner.ts';

/** Bytes of a memory page; smaller than the system's does no harm. */
const PAGE = 4096;

/** Workers that share a memory with the page. The page copies tensors in and out; workers run the jobs, alone or with the page. */
export class ThreadsEngine extends LocalEngine {
  readonly #module: WebAssembly.Module;
  readonly #count: number;
  /** Until each of the threads has started, or failed to. */
  #starting: Promise<unknown> | undefined;
  readonly #started: Thread[] = [];
  readonly #help = new WeakMap<WasmPlan, Help>();

  /**
   * @param runner of the module, on a memory that is shared
   * @param count of threads, started on first use
   */
  constructor(runner: WasmRunner, module: WebAssembly.Module, count: number) {
    super(runner);
    this.#module = module;
    this.#count = count;
  }

  override async warm(): Promise<void> {
    await this.#start();
  }

  override forward(task: Task, stop: AbortSignal): Promise<WasmData> {
    // Not awaited: workers start while the input is copied.
    if (task.crew.workers > 0) void this.#start();
    return super.forward(task, stop);
  }

  override dispose(why?: string): void {
    this.dead = true;
    for (const thread of this.#started) thread.terminate(why);
  }

  protected override async compute(call: CallMemory, task: Task, stop: AbortSignal): Promise<void> {
    const { workers, caller } = task.crew;
    const { plan } = call;
    const help = this.#helpFor(plan);
    // If the caller computes too, it does not wait for workers that are still starting.
    const threads = (caller ? this.#started : await this.#start()).slice(0, workers);
    if (threads.length === 0 || (caller && !help.isWanted())) {
      await super.compute(call, task, stop);
      return;
    }
    stop.throwIfAborted();
    // Before any job is sent: there may be no memory for it.
    if (task.output === undefined) call.fresh = newData(task.input, task.outputElements);
    const board = newBoard(plan.jobs, threads.length + (caller ? 1 : 0));
    const [own, ...theirs] = call.addresses;
    const parts = threads.map(
      (thread, index) => thread.request({ kind: 'jobs', words: plan.words, addresses: theirs[index]!, board }).reply,
    );
    // Where one has failed, the others may still write.
    call.idle = Promise.allSettled(parts);
    const replies = Promise.all(parts);
    const giveUp = (): void => {
      stopAll(board);
    };
    stop.addEventListener('abort', giveUp);
    replies.catch(giveUp);
    if (call.fresh) await inSlices(touchPages(call.fresh), stop);
    if (caller) help.had(await inSlices(takePartAndFinish(board, this.runner.start(plan.words, own)), stop));
    // Stopped, and so perhaps not computed: by an abort, or by a worker's failure.
    if (!caller || isStopped(board)) await orAborted(replies, stop);
    // Not by awaiting the replies: they need a turn of the event loop, and calls may follow one another without one.
    else if (close(board)) call.idle = undefined;
    // A worker is late. Float16 results are rounded in place, where it may still write, so they must wait for it.
    else if (task.input instanceof Uint16Array) await orAborted(replies, stop);
  }

  #helpFor(plan: WasmPlan): Help {
    let help = this.#help.get(plan);
    if (help === undefined) {
      help = new Help();
      this.#help.set(plan, help);
    }
    return help;
  }

  /** @returns the threads that started: none where the page may not make workers */
  async #start(): Promise<readonly Thread[]> {
    await (this.#starting ??= Promise.allSettled(Array.from({ length: this.#count }, () => this.#startOne())));
    return this.#started;
  }

  async #startOne(): Promise<void> {
    const thread = await Thread.open({ module: this.#module, memory: this.runner.memory }, (why) => {
      // The dead worker may have left the shared memory half written, so all of the engine is given up.
      this.dispose(why);
    });
    this.#started.push(thread);
    if (this.dead) thread.terminate();
  }
}

/** A worker with memory of its own, for pages that may not share memory: tensors are transferred. */
export class WorkerEngine implements Engine {
  readonly #thread: Thread;
  dead = false;

  private constructor(thread: Thread) {
    this.#thread = thread;
  }

  /** @throws where workers may not be made */
  static async open(module: WebAssembly.Module): Promise<WorkerEngine> {
    const engine: WorkerEngine = new WorkerEngine(
      await Thread.open({ module }, () => {
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
    stop.throwIfAborted();
    const own = { ...task, input, output: undefined, crew: { workers: 0, caller: true } };
    const { id, reply } = this.#thread.request({ kind: 'forward', task: own }, [input.buffer as ArrayBuffer]);
    stop.addEventListener('abort', () => {
      this.#thread.notify({ kind: 'abort', id });
    });
    const result = (await orAborted(reply, stop)) as WasmData;
    if (task.output === undefined) return result;
    await inSlices(copy(result, task.output), stop);
    return task.output;
  }
}

/** Makes the system allocate a new array's pages while workers compute: for cheap layers that takes as long as computing. */
function* touchPages(data: WasmData): Generator<void, void> {
  const step = PAGE / data.BYTES_PER_ELEMENT;
  for (let first = 0; first < data.length; first += CHUNK) {
    const end = Math.min(first + CHUNK, data.length);
    for (let i = first; i < end; i += step) data[i] = 0;
    yield;
  }
}

function* copy(from: WasmData, to: WasmData): Generator<void, void> {
  for (let first = 0; first < from.length; first += CHUNK) {
    to.set(from.subarray(first, first + CHUNK), first);
    yield;
  }
}
