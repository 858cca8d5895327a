/**
 * The packed weights and inputs, on the host. Weights: [group][kernel row][kernel column][input channel][output channel], the
 * channels padded to whole fours by zeros. One vec4 of output channels is a texel of a texture, and so are they all, as they are.
 */
import { roundUp } from './geometry.ts';
import type { Spec } from './options.ts';
import type { Problem } from './problem.ts';
import { zeros } from './tensors.ts';
import { textureSize } from './texels.ts';
import { weightStrides } from './weight-strides.ts';

/** Channels of one group in the packed weights: whole vec4s. */
export const paddedOutChannels = (spec: Spec): number => roundUp(spec.outChannels / spec.groups, 4);
export const paddedInChannels = (spec: Spec): number => roundUp(spec.inChannels / spec.groups, 4);

/** Elements of the packed weights: they are a texture's texels, too. */
export function packedElements(spec: Spec): number {
  const taps = spec.groups * spec.kernelSize[0] * spec.kernelSize[1];
  const [width, lines] = textureSize((taps * paddedInChannels(spec) * paddedOutChannels(spec)) / 4);
  return 4 * width * lines;
}

/**
 * Calls back with where each row of output channels begins, in the packed order and in the tensor's own: the weights of an input
 * channel one after the other, which lie together in the usual layout.
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

/** An input as texels, as `input_texels.wgsl` writes so many of them, in whole lines. @throws ConvTranspose2dError OUT_OF_MEMORY */
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
      // A row follows on a row's last column.
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
