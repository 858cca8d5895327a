/** The packed weights, on the host: [group][kernel row][kernel column][input channel][output channel], padded to whole vec4s. */
import type { Spec } from './options.ts';
import { packedElements, paddedOutChannels, weightStrides } from './plan.ts';

/** Calls back with the index of each weight in the packed order and in the tensor's own. */
function forEachWeight(spec: Spec, visit: (packed: number, source: number) => void): void {
  const { i, o, h, w } = weightStrides(spec);
  const [kh, kw] = spec.kernelSize;
  const [ins, outs, padded] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups, paddedOutChannels(spec)];
  let row = 0;
  for (let group = 0; group < spec.groups; group++) {
    for (let y = 0; y < kh; y++) {
      for (let x = 0; x < kw; x++) {
        for (let q = 0; q < ins; q++, row += padded) {
          const source = (group * ins + q) * i + y * h + x * w;
          for (let c = 0; c < outs; c++) visit(row + c, source + c * o);
        }
      }
    }
  }
}

/** Packs a weight tensor in the spec's weight layout. */
export function packWeight(spec: Spec, weight: Float32Array): Float32Array {
  const packed = new Float32Array(packedElements(spec));
  forEachWeight(spec, (to, from) => (packed[to] = weight[from] ?? NaN));
  return packed;
}

/** Undoes `packWeight`. */
export function unpackWeight(spec: Spec, packed: Float32Array): Float32Array {
  const [kh, kw] = spec.kernelSize;
  const weight = new Float32Array((spec.inChannels * spec.outChannels * kh * kw) / spec.groups);
  forEachWeight(spec, (from, to) => (weight[to] = packed[from] ?? NaN));
  return weight;
}
