/** A layer on the CPU: the part that must answer synchronously. What computes is loaded meanwhile. */
import { ConvTranspose2dError } from '../errors.ts';
import type { CpuKernelName, KernelChoice } from '../kernels.ts';
import { loadCalls } from '../load.ts';
import type { Spec } from '../options.ts';
import type { Capabilities } from '../capabilities.ts';
import type { LayerPlan } from '../plan.ts';
import type { HostTensor, StateDict } from '../types.ts';
import type { CpuCalls } from './calls.ts';
import type { Cpu } from './cpu.ts';
import { orAborted } from './or-aborted.ts';
import { LoadedState } from './state.ts';
import { wasmVariant } from './variant.ts';

export class CpuLayer {
  readonly device = 'cpu';
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  readonly #cpu: Cpu | undefined;
  #state: LoadedState | undefined;
  /** Undefined until the code is loaded. */
  #calls: CpuCalls | undefined;
  /** One for each running call. */
  readonly #stops = new Set<AbortController>();
  #destroyed = false;

  /** @param cpu where it runs, if not where all layers do; tests have their own */
  constructor(spec: Spec, capabilities: Capabilities, cpu?: Cpu) {
    this.#spec = spec;
    this.#cpu = cpu;
    this.capabilities = { ...capabilities, choose: () => kernelFor(this.#state) };
    // Ahead of the first call; if it fails, that call tries again and reports it.
    loadCalls().catch(() => undefined);
  }

  loadHost(state: StateDict): void {
    this.#state = new LoadedState(state);
  }

  /** Makes the engine that calls of this shape will run on, and loads the weights there. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    // ConvTranspose2d loads parameters before any call.
    const state = this.#state!;
    const calls = this.#calls ?? (await this.#loadCalls());
    await calls.prepare(layerPlan, state);
  }

  release(): void {
    // Nothing to do: what belongs to a plan is kept in WeakMaps.
  }

  async forward(
    layerPlan: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HostTensor> {
    // It may have been aborted before the listener below is added.
    signal?.throwIfAborted();
    const state = this.#state!;
    const stop = new AbortController();
    const onAbort = (): void => {
      stop.abort(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort);
    this.#stops.add(stop);
    try {
      const calls = this.#calls ?? (await orAborted(this.#loadCalls(), stop.signal));
      return await calls.forward(layerPlan, state, input, output, stop.signal);
    } finally {
      this.#stops.delete(stop);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  destroy(): void {
    this.#destroyed = true;
    for (const stop of this.#stops) stop.abort(destroyed());
    this.#calls?.destroy();
    this.#calls = undefined;
    this.#state = undefined;
  }

  async #loadCalls(): Promise<CpuCalls> {
    const { CpuCalls } = await loadCalls();
    if (this.#destroyed) throw destroyed();
    return (this.#calls ??= new CpuCalls(this.#spec, this.#cpu));
  }
}

const destroyed = (): ConvTranspose2dError => new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');

/** The kernel that plans name, and why. */
function kernelFor(state: LoadedState | undefined): KernelChoice {
  const [kernel, reason] = kernelAndReason(state);
  return { kernel, reason, constants: {}, workgroups: 1 };
}

function kernelAndReason(state: LoadedState | undefined): [CpuKernelName, reason: string] {
  const variant = wasmVariant();
  if (variant === undefined) return ['plain', 'the engine has no WebAssembly SIMD'];
  if (state?.finite === false) {
    return ['plain', 'not all weights are finite, and the WebAssembly would multiply them by the zeros of padding'];
  }
  const simd = variant === 'simd' ? ', and no relaxed one' : ' with multiply-add';
  return [`wasm-${variant}`, `the engine has WebAssembly SIMD${simd}`];
}
