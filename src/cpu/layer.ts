/** A layer on the CPU: what it says at once. What computes is loaded meanwhile. */
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
  /** Undefined until they are loaded. */
  #calls: CpuCalls | undefined;
  /** Of the calls under way. */
  readonly #stops = new Set<AbortController>();
  #destroyed = false;

  /** @param cpu where it runs, if not where all layers do; tests have their own */
  constructor(spec: Spec, capabilities: Capabilities, cpu?: Cpu) {
    this.#spec = spec;
    this.#cpu = cpu;
    this.capabilities = { ...capabilities, choose: () => kernelFor(this.#state) };
    // Ahead of the first call, which says what went wrong.
    loadCalls().catch(() => undefined);
  }

  loadHost(state: StateDict): void {
    this.#state = new LoadedState(state);
  }

  /** Makes the engine that calls of this shape will run on, and loads the weights there. */
  async prepare(layerPlan: LayerPlan): Promise<void> {
    const state = this.#loadedState();
    const calls = this.#calls ?? (await this.#loadCalls());
    await calls.prepare(layerPlan, state);
  }

  release(): void {
    // What belongs to a plan goes with it.
  }

  async forward(
    layerPlan: LayerPlan,
    input: HostTensor,
    output: HostTensor | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HostTensor> {
    // Since the call began; after that it is told.
    signal?.throwIfAborted();
    const state = this.#loadedState();
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

  #loadedState(): LoadedState {
    if (this.#state === undefined) throw new Error('a layer is called after its parameters were loaded');
    return this.#state;
  }

  async #loadCalls(): Promise<CpuCalls> {
    const { CpuCalls } = await loadCalls();
    if (this.#destroyed) throw destroyed();
    return (this.#calls ??= new CpuCalls(this.#spec, this.#cpu));
  }
}

const destroyed = (): ConvTranspose2dError => new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');

/** What plans say. */
function kernelFor(state: LoadedState | undefined): KernelChoice {
  const choice = (kernel: CpuKernelName, reason: string): KernelChoice => ({
    kernel,
    reason,
    constants: {},
    workgroups: 1,
  });
  const variant = wasmVariant();
  if (variant === undefined) return choice('plain', 'the engine has no WebAssembly SIMD');
  if (state?.finite === false) {
    return choice(
      'plain',
      'not all weights are finite, and the WebAssembly would multiply them by the zeros of padding',
    );
  }
  return variant === 'simd'
    ? choice('wasm-simd', 'the engine has WebAssembly SIMD, and no relaxed one')
    : choice('wasm-relaxed-simd', 'the engine has WebAssembly SIMD with multiply-add');
}
