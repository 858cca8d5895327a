import { bitsOf, type HostData } from '../tensors.ts';
import type { HostTensor, StateDict } from '../types.ts';

/** A layer's parameters as they were loaded. */
export class LoadedState implements StateDict {
  readonly weight: HostTensor;
  readonly bias?: HostTensor | undefined;
  #finite: boolean | undefined;

  constructor({ weight, bias }: StateDict) {
    this.weight = weight;
    this.bias = bias;
  }

  /** Whether all weights are finite. With others only the plain path is right: see `packForWasm`. */
  get finite(): boolean {
    return (this.#finite ??= areFinite(this.weight.data));
  }
}

export function areFinite(data: HostData): boolean {
  if (data instanceof Float32Array) {
    // 0 · Infinity and 0 · NaN are NaN, which stays in the sum; faster than testing each.
    let zero = 0;
    for (let at = 0; at < data.length; at++) zero += 0 * data[at]!;
    return zero === 0;
  }
  const bits = bitsOf(data);
  for (let at = 0; at < bits.length; at++) if ((bits[at]! & 0x7c00) === 0x7c00) return false;
  return true;
}
