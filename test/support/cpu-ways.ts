/** Ways in which a page may run the CPU path, and layers on a CPU of their own. */
import { Cpu, type CpuSettings } from '../../src/cpu/cpu.ts';
import type { Crew } from '../../src/cpu/engine.ts';
import { CpuLayer } from '../../src/cpu/layer.ts';
import { resolveOptions } from '../../src/options.ts';
import { type LayerPlan, planLayer } from '../../src/plan.ts';
import type { HostTensor } from '../../src/types.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import type { Layer } from './arbitraries.ts';

export interface Way extends CpuSettings {
  /** Whether an `EagerCpu` lets the calling thread take part. */
  readonly caller?: boolean;
}

/** Ways to run that a page may have. */
export const ways: Readonly<Record<string, Way>> = {
  'plain TypeScript': { variant: undefined, workers: false, shared: false, threads: 1 },
  'SIMD on the calling thread': { variant: 'simd', workers: false, shared: false, threads: 1 },
  'relaxed SIMD on the calling thread': { variant: 'relaxed-simd', workers: false, shared: false, threads: 1 },
  'SIMD in a worker': { variant: 'simd', workers: true, shared: false, threads: 1 },
  'relaxed SIMD in a worker': { variant: 'relaxed-simd', workers: true, shared: false, threads: 1 },
  'relaxed SIMD on one thread': { variant: 'relaxed-simd', workers: true, shared: true, threads: 1 },
  'SIMD on three threads': { variant: 'simd', workers: true, shared: true, threads: 3 },
  'relaxed SIMD on three threads': { variant: 'relaxed-simd', workers: true, shared: true, threads: 3 },
  'relaxed SIMD on two threads and the calling one': {
    variant: 'relaxed-simd',
    workers: true,
    shared: true,
    threads: 2,
    caller: true,
  },
};
export const inBackground: [string, Way][] = Object.entries(ways).filter(([, { workers }]) => workers);

/** Sends everything to its workers, however small. */
export class EagerCpu extends Cpu {
  readonly #caller: boolean;

  constructor(way: Way) {
    super(way);
    this.#caller = way.caller ?? false;
  }

  override crewFor(): Crew {
    const { workers, threads } = this.settings;
    return workers ? { workers: threads, caller: this.#caller } : { workers: 0, caller: true };
  }
}

export interface Made {
  readonly layer: CpuLayer;
  readonly plan: LayerPlan;
}

export function make(cpu: Cpu, { input, weight, bias, options }: Layer): Made {
  const { weightLayout = 'IOHW', groups = 1 } = options;
  const size = (axis: string): number => weight.shape[weightLayout.indexOf(axis)]!;
  const { spec } = resolveOptions(size('I'), size('O') * groups, [size('H'), size('W')], {
    ...options,
    bias: bias !== undefined,
    dtype: input.data instanceof Float32Array ? 'float32' : 'float16',
  });
  const layer = new CpuLayer(spec, capabilitiesOf('cpu', 'a test'), cpu);
  layer.loadHost(bias ? { weight, bias } : { weight });
  return { layer, plan: planLayer(spec, input.shape, undefined, layer.capabilities) };
}

/** Half a second of work an image, on one thread. */
export function bigLayer(batch = 4): Layer {
  const input = { shape: [batch, 128, 160, 160], data: new Float32Array(batch * 128 * 160 * 160).fill(1) };
  const weight = { shape: [128, 128, 6, 6], data: new Float32Array(128 * 128 * 36).fill(1) };
  return { input, weight, bias: undefined, options: { stride: 1 } };
}

/** The first wrong value of a `bigLayer`'s result, by its index; −1 if there is none. Its reference would take most of a minute. */
export function firstWrong(result: HostTensor): number {
  const side = 165;
  const reached = (i: number): number => Math.min(i + 1, 6, side - i);
  return (result.data as Float32Array).findIndex((value, i) => {
    const [row, column] = [Math.floor(i / side) % side, i % side];
    return value !== 128 * reached(row) * reached(column);
  });
}

export const forward = ({ layer, plan }: Made, input: HostTensor, signal?: AbortSignal): Promise<HostTensor> =>
  layer.forward(plan, input, undefined, signal);

/** What a promise rejects with before the event loop turns; undefined if it does not. */
export async function inThisTurn(promise: Promise<unknown>): Promise<unknown> {
  let reason: unknown;
  promise.catch((error: unknown) => {
    reason = error;
  });
  await new Promise((resolve) => setTimeout(resolve));
  return reason;
}
