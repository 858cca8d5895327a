/** Checks a sample of a call's outputs: computes them again on the host, in float64, and compares within the error bound. */
import type { AxisParameters } from './geometry.ts';
import type { Spec } from './options.ts';
import type { LayerPlan } from './plan.ts';
import { fromFloat16 } from './tensors.ts';
import type { HostTensor, Mismatch, StateDict } from './types.ts';
import { weightStrides } from './layouts.ts';

/** Outputs of a call that are computed again. */
const SAMPLE = 64;
/** The most products to compute again: where each output takes very many, fewer outputs are checked. */
const MOST_PRODUCTS = 2 ** 20;

const U32 = 2 ** -24;
const U16 = 2 ** -11;
/** The smallest normal numbers: what is below may be flushed to zero. */
const TINY32 = 2 ** -126;
const TINY16 = 2 ** -14;
const LARGEST32 = 2 ** 127;
const LARGEST16 = 65504;

/** With 'sample', besides the first call of each shape, one call in this many is checked. */
const CHECKED_OF = 64;

/** Which calls of a layer are checked. */
export class Verifier {
  readonly #always: boolean;
  readonly #checked = new WeakSet<LayerPlan>();
  #calls = 0;

  constructor(verify: 'sample' | 'always') {
    this.#always = verify === 'always';
  }

  /** Whether to check this call. Must be called once for each. */
  isDue(layerPlan: LayerPlan): boolean {
    const due = this.#always || !this.#checked.has(layerPlan) || this.#calls % CHECKED_OF === 0;
    this.#calls++;
    this.#checked.add(layerPlan);
    return due;
  }
}

/** An output that differs by more than the bound. */
export interface WrongOutput {
  /** Of the output's data. */
  readonly index: number;
  readonly value: number;
  readonly expected: number;
  /** How far from `expected` rounding can have led. */
  readonly bound: number;
}

/** The report of a wrong output. */
export function mismatchOf(
  { plan: { kernel, outputShape } }: LayerPlan,
  adapter: string,
  inputShape: readonly number[],
  wrong: WrongOutput,
): Mismatch {
  const { index, value, expected, bound } = wrong;
  const message =
    `conv-transpose2d: kernel ${kernel} on adapter '${adapter}' computed ${value} in place of ${expected} ± ${bound}, ` +
    `output ${index} of ${outputShape.join('×')} from input ${inputShape.join('×')}; it is set aside for this session`;
  return { kernel, adapter, inputShape: [...inputShape], outputShape, ...wrong, message };
}

/** The first output of a sample that is beyond the bound; undefined when there is none. */
export function wrongOutput(
  spec: Spec,
  { axes }: Pick<LayerPlan, 'axes'>,
  state: StateDict,
  input: HostTensor,
  output: HostTensor,
): WrongOutput | undefined {
  const [rows, columns] = axes;
  const [height, width] = [rows.output, columns.output];
  const batch = input.shape.length === 3 ? 1 : input.shape[0]!;
  const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
  const strides = weightStrides(spec);
  const [x, w, y] = [reader(input), reader(state.weight), reader(output)];
  const b = state.bias === undefined ? (): number => 0 : reader(state.bias);
  const at = (
    channels: number,
    n: number,
    c: number,
    h: number,
    [rowCount, columnCount]: readonly number[],
    i: number,
  ): number =>
    spec.layout === 'NCHW'
      ? ((n * channels + c) * rowCount! + h) * columnCount! + i
      : ((n * rowCount! + h) * columnCount! + i) * channels + c;

  const random = (below: number): number => Math.floor(Math.random() * below);
  let all = 0;
  for (let sample = 0; batch > 0 && sample < SAMPLE && all < MOST_PRODUCTS; sample++) {
    // The last output first: what a kernel leaves out is at the end, more often than not.
    const pick = (below: number): number => (sample === 0 ? below - 1 : random(below));
    const [n, channel, oh, ow] = [pick(batch), pick(spec.outChannels), pick(height), pick(width)];
    const group = Math.floor(channel / outs);
    let [sum, size, products] = [b(channel), Math.abs(b(channel)), 0];
    for (const [kh, ih] of tapsOf(rows, oh)) {
      for (const [kw, iw] of tapsOf(columns, ow)) {
        for (let q = 0; q < ins; q++) {
          const c = group * ins + q;
          const product =
            x(at(spec.inChannels, n, c, ih, [rows.input, columns.input], iw)) *
            w(c * strides.i + (channel % outs) * strides.o + kh * strides.h + kw * strides.w);
          sum += product;
          size += Math.abs(product);
          products++;
        }
      }
    }
    all += products;
    const index = at(spec.outChannels, n, channel, oh, [height, width], ow);
    const expected = activated(spec, sum);
    const bound = boundOf(spec, { sum, size, products }, expected);
    const largest = spec.dtype === 'float16' ? LARGEST16 : LARGEST32;
    // Sums that are Inf, NaN or near overflow have no bound. Both conditions are negated so that NaN skips the first and fails the second.
    if (!(size <= LARGEST32 && Math.abs(expected) + bound <= largest)) continue;
    if (!(Math.abs(y(index) - expected) <= bound)) return { index, value: y(index), expected, bound };
  }
  return undefined;
}

/** Kernel positions that reach an output, with the inputs that they take there: o = i·s − p + k·d. */
function tapsOf(
  { input, kernel, stride, dilation, padding }: AxisParameters,
  output: number,
): [tap: number, input: number][] {
  const taps: [number, number][] = [];
  for (let tap = 0; tap < kernel; tap++) {
    const i = (output + padding - tap * dilation) / stride;
    if (Number.isInteger(i) && i >= 0 && i < input) taps.push([tap, i]);
  }
  return taps;
}

function reader({ data }: HostTensor): (index: number) => number {
  if (!(data instanceof Uint16Array)) return (index) => data[index]!;
  return (index) => fromFloat16(data[index]!);
}

function activated({ activation, negativeSlope }: Spec, v: number): number {
  switch (activation) {
    case 'none':
      return v;
    case 'relu':
      return Math.max(v, 0);
    case 'relu6':
      return Math.min(Math.max(v, 0), 6);
    case 'leaky-relu':
      return v < 0 ? v * negativeSlope : v;
    case 'sigmoid':
      return 1 / (1 + Math.exp(-v));
    case 'tanh':
      return Math.tanh(v);
    case 'gelu':
      return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    case 'silu':
      return v / (1 + Math.exp(-v));
  }
}

/** How far from a result in exact numbers one in float32 may be, rounded once more where it is stored as float16. */
function boundOf(spec: Spec, of: { sum: number; size: number; products: number }, expected: number): number {
  const k = of.products + 1;
  // Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
  const gamma = (k * U32) / (1 - k * U32);
  const error = gamma * of.size + k * TINY32;
  const bound = activationBound(spec, Math.abs(of.sum), error, Math.abs(expected));
  return spec.dtype === 'float16' ? bound + U16 * (Math.abs(expected) + bound) + TINY16 * U16 : bound;
}

/** The error after an activation: its steepest slope times the sum's error, plus the error that WGSL allows exp and tanh. */
function activationBound({ activation, negativeSlope }: Spec, sum: number, error: number, result: number): number {
  switch (activation) {
    case 'none':
    case 'relu':
    case 'relu6':
      return error;
    case 'leaky-relu':
      return Math.max(1, Math.abs(negativeSlope)) * error + 2 * U32 * Math.abs(negativeSlope) * (sum + error) + TINY32;
    case 'sigmoid':
    case 'tanh':
    case 'gelu':
    case 'silu': {
      // WGSL: exp is right within 3 + 2·|x| units in the last place; tanh within 1e-5, or as a quotient of exps. Beyond 32 both are flat.
      const level = Math.min(sum + error, 32) ** (activation === 'gelu' ? 3 : 1);
      const scale = activation === 'gelu' || activation === 'silu' ? Math.max(1, result, sum) : 1;
      return 1.13 * error + scale * (1e-5 + 8 * (3 + 2 * level) * U32) + TINY32;
    }
  }
}
