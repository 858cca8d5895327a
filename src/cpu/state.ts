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

  /** Whether all weights are finite; only the plain path computes with others as it should. */
  get finite(): boolean {
    return (this.#finite ??= areFinite(this.weight.data));
  }
}

export function areFinite(data: HostData): boolean {
  if (data instanceof Float32Array) {
    // Zero times what is not finite is NaN; a sum is quicker than a test each.
    let zero = 0;
    for (let at = 0; at < data.length; at++) zero += 0 * data[at]!;
    return zero === 0;
  }
  const bits = bitsOf(data);
  for (let at = 0; at < bits.length; at++) if ((bits[at]! & 0x7c00) === 0x7c00) return false;
  return true;
}
