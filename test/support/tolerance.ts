/**
 * The one place that holds tolerances; no test has an epsilon of its own.
 *
 * A sum of n products and a bias in float32, in any order, is within γ·(Σ|x·w| + |b|) of the exact one, where
 * γ = K·u/(1 − K·u), K = n + 1 and u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). n is
 * counted per output: taps that hit real input, times input channels per group.
 */
import { convTranspose2dBackwardReference, convTranspose2dReference } from '../../src/reference.ts';
import type { ConvTranspose2dOptions, DType, HostTensor } from '../../src/types.ts';
import { valuesOf } from './tensors.ts';

/** A call whose result is to be judged. */
export interface Problem {
  readonly input: HostTensor;
  readonly weight: HostTensor;
  readonly bias?: HostTensor | null | undefined;
  readonly options?: ConvTranspose2dOptions | undefined;
}

export interface Judgement {
  /**
   * 'exact': every number equal. 'float': within the bound. 'spoiled': where Inf or NaN reach, the result is one of them;
   * everywhere else it is within the bound.
   */
  readonly lane: 'exact' | 'float' | 'spoiled';
  /** What the outputs are stored as. Left out: float32. */
  readonly output?: DType;
  /** Whether input and weight were rounded to float16 after the problem was written down. */
  readonly roundedOperands?: boolean;
  /** Numbers of another system, and how far it says that results may be from them; else those of the reference. */
  readonly source?: Source;
}

export interface Source {
  readonly values: ArrayLike<number>;
  readonly tolerance: SourceTolerance | null;
}

/** A tolerance as conformance cases state it. */
export interface SourceTolerance {
  readonly atol?: number;
  readonly rtol?: number;
  readonly ulp?: number;
  readonly of?: string;
}

const U32 = 2 ** -24;
const U16 = 2 ** -11;
/** The smallest normal numbers: WGSL allows what is below them to be flushed to zero. */
const TINY32 = 2 ** -126;
const TINY16 = 2 ** -14;

/** The first number of `actual` that the judgement does not allow, in words; undefined when there is none. */
export function mismatch(actual: HostTensor, problem: Problem, judgement: Judgement): string | undefined {
  const { lane, source } = judgement;
  const reference = convTranspose2dReference(problem.input, problem.weight, problem.bias, problem.options);
  if (actual.shape.join() !== reference.shape.join()) {
    return `shape ${actual.shape.join(' x ')} instead of ${reference.shape.join(' x ')}`;
  }
  const values = valuesOf(actual);
  const expected = source ? Float64Array.from(source.values) : reference.data;
  if (values.length !== expected.length) return `${values.length} numbers instead of ${expected.length}`;
  const bounds = lane === 'exact' ? new Float64Array(values.length) : boundsOf(problem, judgement);
  for (const [at, value] of values.entries()) {
    const wanted = expected[at]!;
    if (lane === 'spoiled' && !Number.isFinite(reference.data[at])) {
      if (Number.isFinite(value)) return `output ${at}: ${value}, but Inf or NaN reach it`;
      continue;
    }
    const bound = bounds[at]! + (source ? sourceSlack(source.tolerance, wanted) : 0);
    // Written so that NaN fails.
    if (!(Math.abs(value - wanted) <= bound)) return `output ${at}: ${value} instead of ${wanted}, allowed ±${bound}`;
  }
  return undefined;
}

/** A call whose gradients are to be judged. */
export interface GradientProblem {
  readonly gradOutput: HostTensor;
  readonly input: HostTensor;
  readonly weight: HostTensor;
  readonly options?: (ConvTranspose2dOptions & { forwardOutput?: HostTensor | undefined }) | undefined;
}

const GRADIENTS = ['gradInput', 'gradWeight', 'gradBias'] as const;

/** The first number of three gradients that the judgement does not allow, in words. Each is a sum of products, as an output is. */
export function gradientMismatch(
  actual: Readonly<Record<(typeof GRADIENTS)[number], HostTensor>>,
  { gradOutput, input, weight, options }: GradientProblem,
  { lane, output }: { readonly lane: 'exact' | 'float'; readonly output?: DType },
): string | undefined {
  const by = (map: (value: number) => number): ReturnType<typeof convTranspose2dBackwardReference> =>
    convTranspose2dBackwardReference(
      ...([gradOutput, input, weight].map((tensor) => ({
        shape: tensor.shape,
        data: valuesOf(tensor).map(map),
      })) as [Numbers, Numbers, Numbers]),
      options,
    );
  const [expected, magnitudes, counts] = [by((value) => value), by(Math.abs), by(() => 1)];
  for (const name of GRADIENTS) {
    const { shape, data } = expected[name];
    if (actual[name].shape.join() !== shape.join()) {
      return `${name}: shape ${actual[name].shape.join(' x ')} instead of ${shape.join(' x ')}`;
    }
    const values = valuesOf(actual[name]);
    if (values.length !== data.length) return `${name}: ${values.length} numbers instead of ${data.length}`;
    for (const [at, wanted] of data.entries()) {
      const k = counts[name].data[at]! + 1;
      let bound = lane === 'exact' ? 0 : ((k * U32) / (1 - k * U32)) * magnitudes[name].data[at]! + k * TINY32;
      if (lane === 'float' && output === 'float16') bound += U16 * (Math.abs(wanted) + bound) + TINY16 * U16;
      // Written so that NaN fails.
      if (!(Math.abs(values[at]! - wanted) <= bound)) {
        return `${name} ${at}: ${values[at]} instead of ${wanted}, allowed ±${bound}`;
      }
    }
  }
  return undefined;
}

/** How far from the reference each output may be. */
export function boundsOf(problem: Problem, judgement: Omit<Judgement, 'lane'> = {}): Float64Array {
  const { options = {} } = problem;
  const linear: ConvTranspose2dOptions = { ...options, activation: 'none' };
  const absolute = mapped(problem, Math.abs);
  const counting = mapped(problem, () => 1);
  const sums = convTranspose2dReference(problem.input, problem.weight, problem.bias, linear).data;
  const outputs = convTranspose2dReference(problem.input, problem.weight, problem.bias, options).data;
  const magnitudes = convTranspose2dReference(absolute.input, absolute.weight, absolute.bias, linear).data;
  const counts = convTranspose2dReference(counting.input, counting.weight, null, linear).data;
  return sums.map((sum, at) => {
    const k = counts[at]! + 1;
    const gamma = (k * U32) / (1 - k * U32);
    let error = gamma * magnitudes[at]! + k * TINY32;
    // (1 + u)² − 1 for the two operands of each product.
    if (judgement.roundedOperands === true) error += (2 * U16 + U16 * U16) * magnitudes[at]! + k * TINY16;
    const size = Math.abs(outputs[at]!);
    const bound = activated(options, sum, error, size);
    return judgement.output === 'float16' ? bound + U16 * (size + bound) + TINY16 * U16 : bound;
  });
}

/**
 * How far an element may be from (pixel − mean) / std, for a pixel given in full: WGSL reads a unorm within 1 ULP, rounds the
 * difference once and divides within 2.5 ULP; a luma takes three products and two sums of constants that are rounded. To
 * float16, pack2x16float may round either way.
 */
export function elementBound(pixel: number, mean: number, std: number, dtype: DType = 'float32'): number {
  const size = (Math.abs(pixel) + Math.abs(mean)) / Math.abs(std);
  const bound = 16 * U32 * size + TINY32;
  return dtype === 'float16' ? bound + 2 * U16 * (size + bound) + TINY16 : bound;
}

/** How far a stored byte may be from 255 · (element · std + mean), clamped: rounded, within 0.6 ULP as Direct3D has it. */
export function byteBound(element: number, mean: number, std: number): number {
  return 0.6 + 255 * 4 * U32 * (Math.abs(element * std) + Math.abs(mean));
}

/** How far a source says that results may be from its number. */
function sourceSlack(tolerance: SourceTolerance | null, expected: number): number {
  if (tolerance === null) return 0;
  const { atol = 0, rtol = 0, ulp = 0, of } = tolerance;
  const [fraction, least] = of === 'float16' ? [10, -14] : [23, -126];
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(expected))), least);
  return atol + rtol * Math.abs(expected) + ulp * 2 ** (exponent - fraction);
}

/**
 * The error of an activation of a sum that is `error` off; `y` is the size of its result. The activation's Lipschitz constant times that, plus what WGSL
 * allows its builtins: exp within 3 + 2·|x| ULP, division within 2.5 ULP, tanh within 1e-5 of sinh / cosh;
 * sums and products are rounded once. A ULP is at most 2u of the value.
 */
function activated(options: ConvTranspose2dOptions, sum: number, error: number, y: number): number {
  const size = Math.abs(sum) + error;
  switch (options.activation ?? 'none') {
    case 'none':
    case 'relu':
    case 'relu6':
      return error;
    case 'leaky-relu': {
      const slope = Math.abs(options.negativeSlope ?? 0.01);
      // The slope and the product are rounded once each.
      return Math.max(slope, 1) * error + 2 * U32 * slope * size + TINY32;
    }
    case 'sigmoid':
      return 0.25 * error + sigmoidError(size) * y + TINY32;
    case 'tanh':
      return error + tanhError(size);
    case 'silu':
      return 1.1 * error + (sigmoidError(size) + U32) * (y + 1.1 * error) + size * TINY32;
    case 'gelu': {
      // 0.5·x·(1 + tanh t): t is off by 8 roundings at most, and t·tanh′(t) is below 0.45.
      const t = Math.sqrt(2 / Math.PI) * (size + 0.044715 * size ** 3);
      const inner = 8 * 0.45 * U32 + tanhError(t) + 2 * U32;
      return 1.13 * error + 0.5 * size * inner + 3 * U32 * (y + 1.13 * error) + TINY32;
    }
  }
}

/** Relative error of 1 / (1 + exp(-x)): the error of exp, one sum, one division. */
function sigmoidError(size: number): number {
  const relative = (3 + 2 * size) * 2 * U32 + U32 + 2.5 * 2 * U32;
  return relative / (1 - relative);
}

function tanhError(size: number): number {
  // sinh and cosh inherit the errors of exp, whose results they add and halve.
  const quotient = 2 * ((3 + 2 * size) * 2 * U32 + 2 * U32) + 2.5 * 2 * U32;
  return 1e-5 + quotient;
}

interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The problem with each of its numbers replaced, in float64. What is not finite counts as 0: its outputs are not judged. */
function mapped(
  problem: Problem,
  by: (value: number) => number,
): { input: Numbers; weight: Numbers; bias: Numbers | null } {
  const map = (tensor: HostTensor): Numbers => ({
    shape: tensor.shape,
    data: valuesOf(tensor).map((value) => (Number.isFinite(value) ? by(value) : 0)),
  });
  return { input: map(problem.input), weight: map(problem.weight), bias: problem.bias ? map(problem.bias) : null };
}
