/** Weights to begin with: PyTorch's distribution, bilinear interpolation, ICNR. */
import { weightShape } from './layouts.ts';
import { integer, optionsOf, pair, type Spec } from './options.ts';
import { elementCount, tensorOf, zeros } from './tensors.ts';
import { invalid } from './invalid.ts';
import type { HostTensor, Pair, StateDict } from './types.ts';

/** Uniform numbers in [0, 1) from a seed: a counter through a 32-bit mixing function (Steele, Lea and Flood's SplitMix). */
function uniform(seed: number): () => number {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}

const randomSeed = (): number => Math.floor(Math.random() * 2 ** 31);

/** Weight and bias from U(−√k, √k), k = groups / (outChannels · kernel height · kernel width). Source: torch.nn.ConvTranspose2d. */
export function initialState(spec: Spec, seed: number = randomSeed()): StateDict {
  const bound = Math.sqrt(spec.groups / (spec.outChannels * spec.kernelSize[0] * spec.kernelSize[1]));
  const next = uniform(seed);
  const tensor = (shape: number[]): HostTensor => {
    const values = zeros(elementCount(shape));
    for (let i = 0; i < values.length; i++) values[i] = bound * (2 * next() - 1);
    return tensorOf(shape, values, spec.dtype);
  };
  const weight = tensor(weightShape(spec));
  return spec.bias ? { weight, bias: tensor([spec.outChannels]) } : { weight };
}

/** The triangle that interpolates between inputs `factor` apart, over a kernel of that size. */
function triangle(kernel: number): Float32Array {
  const factor = Math.ceil(kernel / 2);
  const center = (kernel - 1) / 2;
  return Float32Array.from({ length: kernel }, (_, k) => 1 - Math.abs(k - center) / factor);
}

/**
 * The weight, (channels, channels / groups, height, width), of bilinear upsampling, as FCN and Caffe's `BilinearFiller` use
 * it: with kernel 2s − s mod 2, stride s and padding ⌈(s − 1)/2⌉ the layer interpolates. Depthwise (groups = channels) unless
 * told; with fewer groups the kernel lies on each group's diagonal.
 * @throws ConvTranspose2dError INVALID_ARGUMENT, OUT_OF_MEMORY
 */
export function bilinearWeight(
  channels: number,
  kernelSize: Pair,
  options: { groups?: number | undefined } = {},
): HostTensor {
  const count = integer('channels', channels, 1);
  const [kh, kw] = pair('kernelSize', kernelSize, 1);
  optionsOf(options, ['groups']);
  const groups = options.groups === undefined ? count : integer('groups', options.groups, 1);
  if (count % groups !== 0) throw invalid('groups', groups, `it must divide channels, ${count}`);
  const perGroup = count / groups;
  const data = zeros(count * perGroup * kh * kw);
  const [vertical, horizontal] = [triangle(kh), triangle(kw)];
  for (let i = 0; i < count; i++) {
    const plane = (i * perGroup + (i % perGroup)) * kh * kw;
    vertical.forEach((v, y) => {
      horizontal.forEach((h, x) => (data[plane + y * kw + x] = v * h));
    });
  }
  return { shape: [count, perGroup, kh, kw], data };
}

/**
 * The weight, (inChannels, outChannels / groups, height, width), that starts a layer without checkerboard artefacts: all
 * phases of an output position begin alike, as nearest-neighbour upsampling of one small random kernel. A tap belongs to the
 * phase (k mod stride).
 * Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution" (2017), for sub-pixel convolution; here the
 * same for a transposed convolution.
 * @throws ConvTranspose2dError INVALID_ARGUMENT, OUT_OF_MEMORY
 */
export function icnrWeight(
  inChannels: number,
  outChannels: number,
  kernelSize: Pair,
  options: { stride: Pair; groups?: number | undefined; seed?: number | undefined },
): HostTensor {
  const [ins, outs] = [integer('inChannels', inChannels, 1), integer('outChannels', outChannels, 1)];
  const [kh, kw] = pair('kernelSize', kernelSize, 1);
  const given = optionsOf(options, ['stride', 'groups', 'seed']);
  const [sh, sw] = pair('stride', given['stride'], 1);
  const groups = options.groups === undefined ? 1 : integer('groups', options.groups, 1);
  if (ins % groups !== 0) throw invalid('groups', groups, `it must divide inChannels, ${ins}`);
  if (outs % groups !== 0) throw invalid('groups', groups, `it must divide outChannels, ${outs}`);
  const next = uniform(options.seed === undefined ? randomSeed() : integer('seed', options.seed, 0));
  const bound = Math.sqrt(groups / (outs * kh * kw));
  const [tapsY, tapsX] = [Math.ceil(kh / sh), Math.ceil(kw / sw)];
  const perGroup = outs / groups;
  const data = zeros(ins * perGroup * kh * kw);
  for (let plane = 0; plane < ins * perGroup; plane++) {
    const small = Float32Array.from({ length: tapsY * tapsX }, () => bound * (2 * next() - 1));
    for (let y = 0; y < kh; y++) {
      for (let x = 0; x < kw; x++) {
        data[(plane * kh + y) * kw + x] = small[Math.floor(y / sh) * tapsX + Math.floor(x / sw)] ?? NaN;
      }
    }
  }
  return { shape: [ins, perGroup, kh, kw], data };
}
