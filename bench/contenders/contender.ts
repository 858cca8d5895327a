import type { Problem } from '../layer.ts';

/** One contender ready for one problem. */
export interface Instance {
  /** Runs the layer `times` over and resolves when the last result exists where the contender leaves it. */
  run(times: number): Promise<void>;
  /** How many do so side by side: 1 unless told. */
  readonly abreast?: number;
  /** The last result, NCHW. */
  read(): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** What it runs on; asked once, before anything else. */
  adapter(): Promise<string>;
  /** Ways to run it; the fastest right one of each layer is measured. */
  readonly settings: readonly string[];
  /** Rejects with the contender's own words when it refuses the layer. */
  create(problem: Problem, setting: string): Promise<Instance>;
  /** One result from nothing but a device, where there is a shorter way than an instance's. */
  first?(problem: Problem): Promise<Float32Array>;
}

/** A short name for a GPU, from what its adapter tells. */
export function adapterName(info: GPUAdapterInfo | undefined): string {
  if (!info) return 'unknown adapter';
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word !== '');
  return words.join(' ') || 'unnamed adapter';
}
