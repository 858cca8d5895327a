/**
 * Packs weights and inputs on the host. Weights: [group][kernel row][kernel column][input channel][output channel], channels padded
 * to multiples of four by zeros. Four output channels are one texel, so the packed bytes can be copied to a texture as they are.
 */
import { roundUp } from './geometry.ts';
import type { Spec } from './options.ts';
import type { Problem } from './problem.ts';
import { zeros } from './tensors.ts';
import { textureSize } from './texels.ts';
import { weightStrides } from './layouts.ts';

/** Channels of one group in the packed weights: whole vec4s. */
export const paddedOutChannels = (spec: Spec): number => roundUp(spec.outChannels / spec.groups, 4);
export const paddedInChannels = (spec: Spec): number => roundUp(spec.inChannels / spec.groups, 4);

/** Elements of the packed weights, rounded up to what fills a texture of them. */
export function packedElements(spec: Spec): number {
  const taps = spec.groups * spec.kernelSize[0] * spec.kernelSize[1];
  const [width, lines] = textureSize((taps * paddedInChannels(spec) * paddedOutChannels(spec)) / 4);
  return 4 * width * lines;
}

/**
 * Calls `visit` for each row of output channels with the index of its first element, in the packed order and in the tensor's own.
 * Goes through one input channel after the other, since in the usual layout its weights lie together.
 */
function forEachRow(spec: Spec, visit: (packed: number, source: number) => void): void {
  const { i, h, w } = weightStrides(spec);
  const [kh, kw] = spec.kernelSize;
  const [ins, channel] = [spec.inChannels / spec.groups, paddedOutChannels(spec)];
  const tap = paddedInChannels(spec) * channel;
  for (let group = 0; group < spec.groups; group++) {
    for (let q = 0; q < ins; q++) {
      for (let y = 0; y < kh; y++) {
        for (let x = 0; x < kw; x++) {
          visit(((group * kh + y) * kw + x) * tap + q * channel, (group * ins + q) * i + y * h + x * w);
        }
      }
    }
  }
}

/** Packs a weight tensor in the spec's weight layout. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function packWeight(spec: Spec, weight: Float32Array): Float32Array<ArrayBuffer> {
  const packed = zeros(packedElements(spec));
  const outs = spec.outChannels / spec.groups;
  const { o } = weightStrides(spec);
  forEachRow(spec, (to, from) => {
    for (let c = 0; c < outs; c++) packed[to + c] = weight[from + c * o]!;
  });
  return packed;
}

/** An input as texels, the same as `input_texels.wgsl` writes, padded to whole lines. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function packInput(problem: Problem, texels: number, input: Float32Array): Float32Array<ArrayBuffer> {
  const { batch, groups, inChannels, rows, columns, input: addresses } = problem;
  const [width, lines] = textureSize(texels);
  const packed = zeros(4 * width * lines);
  const plane = rows.input * columns.input;
  const step = addresses.column;
  for (let image = 0; image < batch * groups; image++) {
    const first = Math.floor(image / groups) * addresses.batch + (image % groups) * addresses.group;
    for (let q = 0; q < inChannels; q++) {
      let to = 4 * (image * Math.ceil(inChannels / 4) + (q >> 2)) * plane + (q & 3);
      let from = first + q * addresses.channel;
      // One loop over rows and columns: the input is contiguous, so each row begins one step after the last column of the one before.
      for (let p = 0; p < plane; p++, to += 4, from += step) packed[to] = input[from]!;
    }
  }
  return packed;
}

/** Undoes `packWeight`. */
export function unpackWeight(spec: Spec, packed: Float32Array): Float32Array {
  const [kh, kw] = spec.kernelSize;
  const outs = spec.outChannels / spec.groups;
  const weight = new Float32Array(spec.inChannels * outs * kh * kw);
  const { o } = weightStrides(spec);
  forEachRow(spec, (from, to) => {
    for (let c = 0; c < outs; c++) weight[to + c * o] = packed[from + c]!;
  });
  return weight;
}
