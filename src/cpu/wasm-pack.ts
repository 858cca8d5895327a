/** Weights as the WebAssembly module reads them. */
import type { Spec } from '../options.ts';
import { zeros } from '../tensors.ts';
import { packedSize } from './wasm-plan.ts';
import { weightStrides } from '../layouts.ts';

/** Elements after which the packing yields to its caller. */
const STEP = 2 ** 15;

/**
 * The bias, then [group][panel][kernel row][kernel column][input channel][output channel of the panel]; see `packedSize`. It
 * depends neither on stride nor on dilation nor on sizes. Weights are finite: the kernels multiply them by the zeros of the
 * padding, and infinity times zero would spoil outputs that the weight does not reach.
 *
 * @param weight in the spec's weight layout
 * @throws ConvTranspose2dError OUT_OF_MEMORY
 */
export function* packForWasm(
  spec: Spec,
  weight: Float32Array,
  bias?: Float32Array,
): Generator<void, Float32Array<ArrayBuffer>> {
  const { i, o, h, w } = weightStrides(spec);
  const [height, width] = spec.kernelSize;
  const inChannels = spec.inChannels / spec.groups;
  const outChannels = spec.outChannels / spec.groups;
  const { panel, panels, biasBytes, weightBytes } = packedSize(spec.groups, inChannels, outChannels, height * width);
  const packed = zeros((biasBytes + weightBytes) / 4);
  let at = biasBytes / 4;
  let next = at + STEP;
  for (let group = 0; group < spec.groups; group++) {
    for (let p = 0; p < panels; p++) {
      const first = p * panel;
      const channels = Math.min(panel, outChannels - first);
      const from = group * outChannels + first;
      if (bias !== undefined) packed.set(bias.subarray(from, from + channels), (group * panels + p) * panel);
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          let source = group * inChannels * i + first * o + row * h + column * w;
          for (let q = 0; q < inChannels; q++, at += panel, source += i) {
            for (let c = 0; c < channels; c++) packed[at + c] = weight[source + c * o]!;
            if (at < next) continue;
            next = at + STEP;
            yield;
          }
        }
      }
    }
  }
  return packed;
}
