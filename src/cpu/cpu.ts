/** The engines that layers share, made on first use and let go after the last layer. */
import { LocalEngine, type Engine } from './engine.ts';
import { wasmVariant, type WasmVariant } from './wasm-module.ts';

/** How long engines stay after the last layer, in milliseconds: the next one may come soon. */
const IDLE = 1000;

export interface CpuSettings {
  /** Undefined: plain TypeScript. */
  readonly variant: WasmVariant | undefined;
}

export class Cpu {
  readonly variant: WasmVariant | undefined;
  #local: LocalEngine | undefined;
  #layers = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor({ variant }: CpuSettings) {
    this.variant = variant;
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
      this.#local = undefined;
    }, IDLE);
    unref(this.#idle);
  }

  /** The engine for a call; undefined without WebAssembly SIMD. */
  engineFor(): Promise<Engine | undefined> {
    if (this.variant !== undefined) this.#local ??= new LocalEngine(this.variant);
    return Promise.resolve(this.#local);
  }
}

/** In Node, a timer keeps the process alive unless told otherwise. */
function unref(timer: unknown): void {
  if (typeof timer === 'object' && timer !== null && 'unref' in timer) (timer as { unref(): void }).unref();
}

let shared: Cpu | undefined;

/** The one of this page or process. */
export function sharedCpu(): Cpu {
  return (shared ??= new Cpu({ variant: wasmVariant() }));
}
