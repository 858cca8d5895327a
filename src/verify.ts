/** A sample of a call's outputs, computed again on the host: in float64, and compared within the summation bound. */
import { axisGeometry, type Axis } from './geometry.ts';
import type { Spec } from './options.ts';
import type { LayerPlan } from './plan.ts';
import { fromFloat16 } from './tensors.ts';
import type { HostTensor, Mismatch, StateDict } from './types.ts';
import { weightStrides } from './weight-strides.ts';

/** Outputs of a call that are computed again. */
const SAMPLE = 64;
/** Products that are computed again, at most: for a kernel of very many, fewer outputs are. */
const MOST_PRODUCTS = 2 ** 20;

const U32 = 2 ** -24;
const U16 = 2 ** -11;
/** The smallest normal numbers: what is below may be flushed to zero. */
const TINY32 = 2 ** -126;
const TINY16 = 2 ** -14;
const LARGEST32 = 2 ** 127;
const LARGEST16 = 65504;

/** An output that is not what it should be. */
export interface WrongOutput {
  /** Of the output's data. */
  readonly index: number;
  readonly value: number;
  readonly expected: number;
  /** How far from `expected` rounding can have led. */
  readonly bound: number;
}

/** What is said of a wrong output. */
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
  const [rows, columns] = [axisGeometry(axes[0]), axisGeometry(axes[1])];
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

  const most = ins * mostTaps(rows) * mostTaps(columns);
  const count = Math.max(1, Math.min(SAMPLE, Math.floor(MOST_PRODUCTS / Math.max(1, most))));
  const random = (below: number): number => Math.floor(Math.random() * below);
  for (let sample = 0; batch > 0 && sample < count; sample++) {
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
    const index = at(spec.outChannels, n, channel, oh, [height, width], ow);
    const expected = activated(spec, sum);
    const bound = boundOf(spec, { sum, size, products }, expected);
    const largest = spec.dtype === 'float16' ? LARGEST16 : LARGEST32;
    // Inf, NaN, and what is about to overflow have no bound. Written so that a wrong NaN fails.
    if (!(size <= LARGEST32 && Math.abs(expected) + bound <= largest)) continue;
    if (!(Math.abs(y(index) - expected) <= bound)) return { index, value: y(index), expected, bound };
  }
  return undefined;
}

const mostTaps = ({ residues }: Axis): number => residues.reduce((most, { taps }) => Math.max(most, taps), 0);

/** Kernel positions that reach an output, with the inputs that they take there. */
function tapsOf({ stride, residues, tapStep, inputStep, input }: Axis, output: number): [tap: number, input: number][] {
  const { taps, firstTap, firstInput } = residues[output % stride]!;
  const m = Math.floor(output / stride);
  return Array.from({ length: taps }, (_, j): [number, number] => [
    firstTap + j * tapStep,
    m + firstInput - j * inputStep,
  ]).filter(([, i]) => i >= 0 && i < input);
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

/** The error of an activation: its steepest slope times the sum's, and what WGSL grants exp and tanh. */
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
      // exp is right within 3 + 2·|x| units in the last place, tanh within 1e-5 of a quotient of such; both level off.
      const level = Math.min(sum + error, 32) ** (activation === 'gelu' ? 3 : 1);
      const scale = activation === 'gelu' || activation === 'silu' ? Math.max(1, result, sum) : 1;
      return 1.13 * error + scale * (1e-5 + 8 * (3 + 2 * level) * U32) + TINY32;
    }
  }
}
