// The definition, in float64 and in the open: every input pixel times the kernel is added into the full result; then the
// result is cropped, or extended with zeros, and gets its bias and activation. It imports nothing, not even the formula of
// the output size, so that nothing can agree with itself: the tests judge every other path by this one.

type Pair = number | readonly [height: number, width: number];

/** A tensor as the reference reads it. `Uint16Array` data hold float16 bit patterns and need `dtype: 'float16'`. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  readonly dtype?: string | undefined;
}

/** The layer's options; the device has no meaning here. */
export interface ReferenceOptions {
  readonly stride?: Pair | undefined;
  readonly padding?: Pair | readonly [top: number, left: number, bottom: number, right: number] | undefined;
  readonly outputPadding?: Pair | undefined;
  readonly outputSize?: Pair | undefined;
  readonly groups?: number | undefined;
  readonly dilation?: Pair | undefined;
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  readonly weightLayout?: 'IOHW' | 'HWOI' | 'OHWI' | undefined;
  readonly activation?: 'none' | 'relu' | 'relu6' | 'leaky-relu' | 'sigmoid' | 'tanh' | 'gelu' | 'silu' | undefined;
  readonly negativeSlope?: number | undefined;
  readonly device?: unknown;
}

/** A result, row-major, in the layout of the input. */
export interface ReferenceResult {
  readonly shape: number[];
  readonly data: Float64Array;
}

/**
 * The transposed convolution by its definition, in float64, slowly.
 *
 * @param input (N, C, H, W) or (C, H, W); with layout 'NHWC' (N, H, W, C) or (H, W, C)
 * @param weight in `weightLayout`: I = all input channels, O = output channels of one group
 * @param bias one number per output channel, or none
 * @returns the output, batched as the input is
 * @throws Error when shapes, data or options do not fit together
 */
export function convTranspose2dReference(
  input: ReferenceTensor,
  weight: ReferenceTensor,
  bias?: ReferenceTensor | null,
  options: ReferenceOptions = {},
): ReferenceResult {
  const [strideH, strideW] = pair('stride', options.stride, 1);
  const [dilationH, dilationW] = pair('dilation', options.dilation, 1);
  const [top, left, bottom, right] = sides(options.padding);
  const [groups] = pair('groups', options.groups, 1);
  const channelsLast = isChannelsLast(options);

  const x = readInput(input, channelsLast);
  const w = readWeight(weight, options.weightLayout ?? 'IOHW');
  const outChannels = w.outPerGroup * groups;
  const inPerGroup = x.channels / groups;
  check(w.inChannels === x.channels, `weight has ${w.inChannels} input channels, input has ${x.channels}`);
  check(Number.isInteger(inPerGroup), `groups ${groups} does not divide ${x.channels} input channels`);
  const b = bias ? numbers(bias) : new Float64Array(outChannels);
  check(b.length === outChannels, `bias has ${b.length} numbers, the layer ${outChannels} output channels`);

  // The full result: every pixel of the input leaves its mark, nothing is cropped yet.
  const fullH = strideH * (x.height - 1) + dilationH * (w.height - 1) + 1;
  const fullW = strideW * (x.width - 1) + dilationW * (w.width - 1) + 1;
  const full = new Float64Array(x.batch * outChannels * fullH * fullW);
  for (let n = 0; n < x.batch; n++) {
    for (let ci = 0; ci < x.channels; ci++) {
      const group = Math.floor(ci / inPerGroup);
      for (let iy = 0; iy < x.height; iy++) {
        for (let ix = 0; ix < x.width; ix++) {
          const pixel = x.data[((n * x.channels + ci) * x.height + iy) * x.width + ix]!;
          for (let co = 0; co < w.outPerGroup; co++) {
            const plane = (n * outChannels + group * w.outPerGroup + co) * fullH;
            for (let ky = 0; ky < w.height; ky++) {
              const row = (plane + iy * strideH + ky * dilationH) * fullW + ix * strideW;
              const kernelRow = ((ci * w.outPerGroup + co) * w.height + ky) * w.width;
              for (let kx = 0; kx < w.width; kx++) {
                full[row + kx * dilationW]! += pixel * w.data[kernelRow + kx]!;
              }
            }
          }
        }
      }
    }
  }

  // Crop it; what is asked for beyond it is zero.
  const [extraH, extraW] = pair('outputPadding', options.outputPadding, 0);
  const natural = [fullH - top - bottom + extraH, fullW - left - right + extraW] as const;
  const [outH, outW] = options.outputSize === undefined ? natural : pair('outputSize', options.outputSize, 1);
  check(outH > 0 && outW > 0, `the output would be ${outH} x ${outW}`);
  const activate = activation(options.activation ?? 'none', options.negativeSlope ?? 0.01);
  const output = new Float64Array(x.batch * outChannels * outH * outW);
  for (let n = 0; n < x.batch; n++) {
    for (let co = 0; co < outChannels; co++) {
      for (let oy = 0; oy < outH; oy++) {
        for (let ox = 0; ox < outW; ox++) {
          const fy = oy + top;
          const fx = ox + left;
          const inside = fy >= 0 && fy < fullH && fx >= 0 && fx < fullW;
          const sum = inside ? full[((n * outChannels + co) * fullH + fy) * fullW + fx]! : 0;
          const at = channelsLast
            ? ((n * outH + oy) * outW + ox) * outChannels + co
            : ((n * outChannels + co) * outH + oy) * outW + ox;
          output[at] = activate(sum + b[co]!);
        }
      }
    }
  }

  const shape = channelsLast ? [outH, outW, outChannels] : [outChannels, outH, outW];
  return { shape: input.shape.length === 4 ? [x.batch, ...shape] : shape, data: output };
}

/** The gradients of a sum of outputs, each times its number in `gradOutput`. */
export interface ReferenceGradients {
  /** Like the input. */
  readonly gradInput: ReferenceResult;
  /** Like the weight, in its layout. */
  readonly gradWeight: ReferenceResult;
  /** One number per output channel. */
  readonly gradBias: ReferenceResult;
}

/**
 * The gradients by the definition, in float64, slowly: every product that the layer adds into an output is visited, and
 * gives each of its factors the other one times the output's gradient.
 *
 * @param gradOutput like the output
 * @param options as the layer's; activation 'none', or 'relu' with `forwardOutput`, whose zeros pass nothing on
 * @throws Error when shapes, data or options do not fit together
 */
export function convTranspose2dBackwardReference(
  gradOutput: ReferenceTensor,
  input: ReferenceTensor,
  weight: ReferenceTensor,
  options: ReferenceOptions & { readonly forwardOutput?: ReferenceTensor | undefined } = {},
): ReferenceGradients {
  const [strideH, strideW] = pair('stride', options.stride, 1);
  const [dilationH, dilationW] = pair('dilation', options.dilation, 1);
  const [top, left] = sides(options.padding);
  const [groups] = pair('groups', options.groups, 1);
  const channelsLast = isChannelsLast(options);
  const weightLayout = options.weightLayout ?? 'IOHW';
  const activation = options.activation ?? 'none';
  check(activation === 'none' || activation === 'relu', `no gradient of '${activation}'`);
  check(activation === 'none' || options.forwardOutput !== undefined, `'relu' needs forwardOutput`);

  const x = readInput(input, channelsLast);
  const w = readWeight(weight, weightLayout);
  const g = readInput(gradOutput, channelsLast);
  const inPerGroup = x.channels / groups;
  check(w.inChannels === x.channels, `weight has ${w.inChannels} input channels, input has ${x.channels}`);
  check(g.channels === w.outPerGroup * groups, `gradOutput has ${g.channels} channels`);
  check(g.batch === x.batch, `gradOutput has ${g.batch} images, input ${x.batch}`);
  if (activation === 'relu') {
    const y = readInput(options.forwardOutput!, channelsLast);
    check(y.data.length === g.data.length, 'forwardOutput is not like gradOutput');
    y.data.forEach((value, at) => {
      if (value <= 0) g.data[at] = 0;
    });
  }

  const gradInput = new Float64Array(x.data.length);
  const gradWeight = new Float64Array(w.data.length);
  const gradBias = new Float64Array(g.channels);
  for (let n = 0; n < x.batch; n++) {
    for (let ci = 0; ci < x.channels; ci++) {
      const group = Math.floor(ci / inPerGroup);
      for (let iy = 0; iy < x.height; iy++) {
        for (let ix = 0; ix < x.width; ix++) {
          const at = ((n * x.channels + ci) * x.height + iy) * x.width + ix;
          for (let co = 0; co < w.outPerGroup; co++) {
            const plane = (n * g.channels + group * w.outPerGroup + co) * g.height;
            for (let ky = 0; ky < w.height; ky++) {
              const oy = iy * strideH - top + ky * dilationH;
              if (oy < 0 || oy >= g.height) continue;
              for (let kx = 0; kx < w.width; kx++) {
                const ox = ix * strideW - left + kx * dilationW;
                if (ox < 0 || ox >= g.width) continue;
                const gradient = g.data[(plane + oy) * g.width + ox]!;
                const k = ((ci * w.outPerGroup + co) * w.height + ky) * w.width + kx;
                gradInput[at]! += gradient * w.data[k]!;
                gradWeight[k]! += gradient * x.data[at]!;
              }
            }
          }
        }
      }
    }
  }
  const plane = g.height * g.width;
  g.data.forEach((gradient, at) => (gradBias[Math.floor(at / plane) % g.channels]! += gradient));

  return {
    gradInput: { shape: [...input.shape], data: channelsLast ? toChannelsLast(x, gradInput) : gradInput },
    gradWeight: { shape: [...weight.shape], data: fromIohw(w, gradWeight, weightLayout) },
    gradBias: { shape: [g.channels], data: gradBias },
  };
}

/** (N, C, H, W) as (N, H, W, C). */
function toChannelsLast(
  { batch, channels, height, width }: { batch: number; channels: number; height: number; width: number },
  planes: Float64Array,
): Float64Array {
  const data = new Float64Array(planes.length);
  for (let at = 0, n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) data[((n * height + y) * width + x) * channels + c] = planes[at]!;
      }
    }
  }
  return data;
}

/** (I, O, H, W) in another order. */
function fromIohw(
  { inChannels, outPerGroup, height, width }: ReturnType<typeof readWeight>,
  data: Float64Array,
  layout: 'IOHW' | 'HWOI' | 'OHWI',
): Float64Array {
  if (layout === 'IOHW') return data;
  const result = new Float64Array(data.length);
  for (let at = 0, i = 0; i < inChannels; i++) {
    for (let o = 0; o < outPerGroup; o++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
          const to =
            layout === 'HWOI'
              ? ((y * width + x) * outPerGroup + o) * inChannels + i
              : ((o * height + y) * width + x) * inChannels + i;
          result[to] = data[at]!;
        }
      }
    }
  }
  return result;
}

/** The input as (N, C, H, W). */
function readInput(
  tensor: ReferenceTensor,
  channelsLast: boolean,
): { batch: number; channels: number; height: number; width: number; data: Float64Array } {
  const rank = tensor.shape.length;
  check(rank === 3 || rank === 4, `input has rank ${rank}, not 3 or 4`);
  const [batch, ...image] = (rank === 4 ? tensor.shape : [1, ...tensor.shape]) as [number, number, number, number];
  const data = numbers(tensor);
  if (!channelsLast) {
    const [channels, height, width] = image;
    return { batch, channels, height, width, data };
  }
  const [height, width, channels] = image;
  const planes = new Float64Array(data.length);
  for (let at = 0, n = 0; n < batch; n++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++, at++) planes[((n * channels + c) * height + y) * width + x] = data[at]!;
      }
    }
  }
  return { batch, channels, height, width, data: planes };
}

/** The weight as (I, O, H, W). */
function readWeight(
  tensor: ReferenceTensor,
  layout: 'IOHW' | 'HWOI' | 'OHWI',
): { inChannels: number; outPerGroup: number; height: number; width: number; data: Float64Array } {
  check(tensor.shape.length === 4, `weight has rank ${tensor.shape.length}, not 4`);
  check(['IOHW', 'HWOI', 'OHWI'].includes(layout), `no weight layout is called '${layout}'`);
  const size = (axis: string): number => tensor.shape[layout.indexOf(axis)]!;
  const step = (axis: string): number =>
    tensor.shape.slice(layout.indexOf(axis) + 1).reduce((product, length) => product * length, 1);
  const [inChannels, outPerGroup, height, width] = [size('I'), size('O'), size('H'), size('W')];
  const [stepI, stepO, stepH, stepW] = [step('I'), step('O'), step('H'), step('W')];
  const data = numbers(tensor);
  const ordered = new Float64Array(data.length);
  for (let at = 0, i = 0; i < inChannels; i++) {
    for (let o = 0; o < outPerGroup; o++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) ordered[at] = data[i * stepI + o * stepO + y * stepH + x * stepW]!;
      }
    }
  }
  return { inChannels, outPerGroup, height, width, data: ordered };
}

/** A tensor's numbers as float64. */
function numbers({ shape, data, dtype }: ReferenceTensor): Float64Array {
  const length = shape.reduce((product, size) => product * size, 1);
  check(data.length === length, `shape [${shape.join(', ')}] needs ${length} numbers, data has ${data.length}`);
  if (!(data instanceof Uint16Array)) return Float64Array.from(data);
  check(dtype === 'float16', `Uint16Array data need dtype 'float16'`);
  return Float64Array.from(data, float16Value);
}

/** The value of a float16 bit pattern: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function activation(name: string, negativeSlope: number): (x: number) => number {
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  switch (name) {
    case 'none':
      return (x) => x;
    case 'relu':
      return (x) => Math.max(x, 0);
    case 'relu6':
      return (x) => Math.min(Math.max(x, 0), 6);
    case 'leaky-relu':
      return (x) => (x < 0 ? x * negativeSlope : x);
    case 'sigmoid':
      return sigmoid;
    case 'tanh':
      return Math.tanh;
    case 'gelu':
      return (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case 'silu':
      return (x) => x * sigmoid(x);
    default:
      throw new Error(`no activation is called '${name}'`);
  }
}

/** Whole numbers from the least on, which is what they are when left out. */
function pair(name: string, value: Pair | undefined, least: number): readonly [number, number] {
  const [height, width] = typeof value === 'object' ? value : [value ?? least, value ?? least];
  const fits = [height, width].every((one) => Number.isInteger(one) && one >= least);
  check(fits, `${name} is [${height}, ${width}]: whole numbers from ${least} on are needed`);
  return [height, width];
}

function isChannelsLast({ layout = 'NCHW' }: ReferenceOptions): boolean {
  check(['NCHW', 'NHWC'].includes(layout), `no layout is called '${layout}'`);
  return layout === 'NHWC';
}

function sides(padding: ReferenceOptions['padding']): readonly [number, number, number, number] {
  if (typeof padding === 'object' && padding.length === 4) {
    check(padding.every(Number.isInteger), `padding is [${padding.join(', ')}]: whole numbers are needed`);
    return padding;
  }
  const [vertical, horizontal] = pair('padding', padding, 0);
  return [vertical, horizontal, vertical, horizontal];
}

function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}
