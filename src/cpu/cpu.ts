/** The engines that layers share: made on first use, disposed of after the last layer. */
import { LocalEngine, type Crew, type Engine } from './engine.ts';
import { SLICE } from './slices.ts';
import { wasmVariant, type WasmVariant } from './variant.ts';
import { ThreadsEngine, WorkerEngine } from './worker-engines.ts';
import { newMemory } from './wasm-heap.ts';
import { wasmModule } from './wasm-module.ts';
import { WasmRunner } from './wasm-runner.ts';

/** Milliseconds that engines stay after the last layer, in case the next one comes soon. */
const IDLE = 1000;
/** From how many milliseconds of work on a call goes to a worker with its own memory; and for how many it takes one more thread. */
const SMALL = 3;
const SHARE = 1;
/** Milliseconds of work that the calling thread takes part in; in longer calls workers compute alone. */
const OWN = 3 * SLICE;
/** What a core does in a millisecond, roughly: operations, and bytes of tensors read or written. */
const FLOPS = 2e7;
const BYTES = 4e6;
/** Threads beyond these gain little: the tensors come from one memory. */
const MOST_THREADS = 8;

export interface CpuSettings {
  /** Undefined: plain TypeScript. */
  readonly variant: WasmVariant | undefined;
  /** Whether there are workers at all. */
  readonly workers: boolean;
  /** Whether memory may be shared with them. */
  readonly shared: boolean;
  /** How many workers share a memory. */
  readonly threads: number;
}

/** On the calling thread, in memory that is not shared, since browsers copy to and from that faster; or with workers. */
type Place = 'local' | 'background';

export class Cpu {
  readonly settings: CpuSettings;
  readonly #engines = new Map<Place, Promise<Engine>>();
  #layers = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: CpuSettings) {
    this.settings = settings;
  }

  /** Counts a layer in. */
  enter(): void {
    this.#layers++;
    clearTimeout(this.#idle);
  }

  /** Counts a layer out. */
  leave(): void {
    this.#layers--;
    if (this.#layers > 0) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.dispose();
    }, IDLE);
    unref(this.#idle);
  }

  dispose(): void {
    for (const opened of this.#engines.values()) {
      opened.then(
        (engine) => {
          engine.dispose();
        },
        () => undefined,
      );
    }
    this.#engines.clear();
  }

  /** Who should compute a call. The calling thread takes part in short ones; in long ones it only keeps the page responsive. */
  crewFor(flops: number, bytes: number): Crew {
    const { workers, shared, threads } = this.settings;
    const work = flops / FLOPS + bytes / BYTES;
    if (!workers || (!shared && work < SMALL)) return { workers: 0, caller: true };
    if (!shared) return { workers: 1, caller: false };
    const hands = Math.max(1, Math.min(threads, Math.floor(work / SHARE)));
    return work / hands > OWN ? { workers: hands, caller: false } : { workers: hands - 1, caller: true };
  }

  /** The engine for a call by that crew; undefined without WebAssembly SIMD. @throws ConvTranspose2dError OUT_OF_MEMORY */
  async engineFor(crew: Crew): Promise<Engine | undefined> {
    const { variant } = this.settings;
    return variant && this.#engine(crew.workers === 0 ? 'local' : 'background', variant);
  }

  async #engine(place: Place, variant: WasmVariant): Promise<Engine> {
    const opened = this.#engines.get(place) ?? this.#open(place, variant);
    this.#engines.set(place, opened);
    let engine: Engine | undefined;
    try {
      engine = await opened;
    } finally {
      // What failed or died is forgotten, so that the next call opens another.
      if (engine?.dead !== false && this.#engines.get(place) === opened) this.#engines.delete(place);
    }
    return engine.dead ? this.#engine(place, variant) : engine;
  }

  async #open(place: Place, variant: WasmVariant): Promise<Engine> {
    const { shared, threads } = this.settings;
    const module = await wasmModule(variant, place === 'background' && shared);
    if (place === 'local') return new LocalEngine(await WasmRunner.open(newMemory(false), module));
    try {
      if (!shared) return await WorkerEngine.open(module);
      return new ThreadsEngine(await WasmRunner.open(newMemory(true), module), module, threads);
    } catch {
      return this.#engine('local', variant);
    }
  }
}

/** In Node, a timer keeps the process alive unless told otherwise. */
function unref(timer: unknown): void {
  (timer as { unref?(): void }).unref?.();
}

let common: Cpu | undefined;

/** The one that all layers of this page or process share. */
export function sharedCpu(): Cpu {
  const cores = (globalThis.navigator as Partial<Navigator> | undefined)?.hardwareConcurrency;
  return (common ??= new Cpu({
    variant: wasmVariant(),
    // On a single core a worker would only take turns with the page; slices do that without messages and cold caches.
    workers: typeof Worker === 'function' && cores !== 1,
    // Missing in Node and in older browsers, whatever the types say.
    shared: (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true,
    threads: Math.min(cores ?? 1, MOST_THREADS),
  }));
}
