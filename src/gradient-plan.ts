/**
 * The gradients of a transposed convolution, as index arithmetic.
 *
 * Input i and tap k meet in output o = s·i − p + k·d. With s′ = s/g, d′ = d/g, g = gcd(s, d), every tap is k = κ + s′·j: the j-th of
 * class κ < s′. Let z be the output's gradient y′, picked class by class:
 *
 *     z[κ][v] = y′[s·v + κ·d − p],    0 outside,
 *
 * In z, output o is at v = i + j·d′. So both gradients are sums over z with stride 1:
 *
 *     x′[i]  = Σ_{κ, j} z[κ][i + j·d′] · w[κ + s′·j]      a transposed convolution of z, its kernel turned around
 *     w′[k]  = Σ_i      z[κ][i + j·d′] · x[i]
 *
 * The first is planned and run as a forward call, with the classes of z as channels.
 */
import { ConvTranspose2dError } from './errors.ts';
import { gcd } from './geometry.ts';
import type { InputExtents, Size, Spec } from './options.ts';
import { addressesOf, inOrder, weightStrides } from './layouts.ts';

/** One axis of the gradients. */
interface GradientAxis {
  /** s′ */
  readonly tapStep: number;
  /** d′ */
  readonly inputStep: number;
  /** Classes that have taps. */
  readonly classes: number;
  /** J: the most taps that a class has. */
  readonly taps: number;
  /** Length of z. */
  readonly wide: number;
}

/** Which elements to pick from a tensor, by tables: see `gradient_operands.wgsl`. */
export interface Pick {
  readonly batch: number;
  readonly groups: number;
  readonly classes: Size;
  readonly channels: number;
  readonly inner: number;
  readonly extent: Size;
  /** Elements of the source between neighbours: batch, group, channel, inner channel, row, column. */
  readonly strides: readonly [number, number, number, number, number, number];
  /** Tables of rows [row class][u], then of columns [column class][v]; −1 where there is no element. */
  readonly places: Int32Array;
}

export interface GradientPlan {
  readonly rows: GradientAxis;
  readonly columns: GradientAxis;
  /** Picks z from the output's gradient. */
  readonly wide: Pick;
  /** Picks all of the input, in order: only to make texels of it. */
  readonly input: Pick;
  /** Picks the weights by class, each kernel turned around. */
  readonly weight: Pick;
  /** The transposed convolution of z that gives the input's gradient. */
  readonly spec: Spec;
  /** The shape of z for it, in the layer's layout. */
  readonly wideShape: readonly number[];
  /** Where the weight's gradient goes: elements between neighbours along kernel row, column, group, input and output channel. */
  readonly weightSteps: readonly [number, number, number, number, number];
}

function gradientAxis(input: number, kernel: number, stride: number, dilation: number): GradientAxis {
  const g = gcd(stride, dilation);
  const [tapStep, inputStep] = [stride / g, dilation / g];
  const taps = Math.ceil(kernel / tapStep);
  return { tapStep, inputStep, classes: Math.min(tapStep, kernel), taps, wide: input + (taps - 1) * inputStep };
}

/** A table stays below 64 MiB. */
const MOST_PLACES = 2 ** 24;

/** The tables of a pick: `at` gives the place for axis `a`, a class and a position. @throws ConvTranspose2dError UNSUPPORTED */
function table(axes: readonly GradientAxis[], length: (axis: GradientAxis) => number, at: Place): Int32Array {
  const places = axes.reduce((sum, axis) => sum + axis.classes * length(axis), 0);
  if (places > MOST_PLACES) {
    throw new ConvTranspose2dError('UNSUPPORTED', `the gradients take ${places} places, and at most ${MOST_PLACES}`);
  }
  return Int32Array.from(
    axes.flatMap((axis, a) =>
      Array.from({ length: axis.classes * length(axis) }, (_, i) =>
        at(a, axis, Math.floor(i / length(axis)), i % length(axis)),
      ),
    ),
  );
}
type Place = (a: number, axis: GradientAxis, tapClass: number, v: number) => number;

/** Plans the gradients of a call with that input and output size. */
export function planGradients(spec: Spec, input: InputExtents, output: Size): GradientPlan {
  const { groups, kernelSize, stride, dilation, padding } = spec;
  const [ins, outs] = [spec.inChannels / groups, spec.outChannels / groups];
  const size: Size = [input.height, input.width];
  const axes = ([0, 1] as const).map((a) => gradientAxis(size[a], kernelSize[a], stride[a], dilation[a]));
  const [rows, columns] = axes as [GradientAxis, GradientAxis];
  const classes: Size = [rows.classes, columns.classes];
  const wideSize: Size = [rows.wide, columns.wide];
  const inside = (place: number, length: number): number => (place >= 0 && place < length ? place : -1);
  const weights = weightStrides(spec);

  const gradOutput = addressesOf(spec, spec.outChannels, output);
  const wide: Pick = {
    batch: input.batch,
    groups,
    classes,
    channels: outs,
    inner: 1,
    extent: wideSize,
    strides: [gradOutput.batch, gradOutput.group, gradOutput.channel, 0, gradOutput.row, gradOutput.column],
    places: table(
      axes,
      (axis) => axis.wide,
      (a, _, tapClass, v) => inside(stride[a]! * v + tapClass * dilation[a]! - padding[a]!, output[a]!),
    ),
  };
  const from = addressesOf(spec, spec.inChannels, size);
  const identity: Pick = {
    ...{ batch: input.batch, groups, classes: [1, 1], channels: ins, inner: 1, extent: size },
    strides: [from.batch, from.group, from.channel, 0, from.row, from.column],
    places: Int32Array.from(size.flatMap((length) => Array.from({ length }, (_, i) => i))),
  };
  const weight: Pick = {
    ...{ batch: 1, groups, classes, channels: outs, inner: ins, extent: [rows.taps, columns.taps] },
    strides: [0, ins * weights.i, weights.o, weights.i, weights.h, weights.w],
    places: table(
      axes,
      (axis) => axis.taps,
      (a, axis, tapClass, v) => inside(tapClass + axis.tapStep * (axis.taps - 1 - v), kernelSize[a]!),
    ),
  };
  const crop: Size = [(rows.taps - 1) * rows.inputStep, (columns.taps - 1) * columns.inputStep];
  const wideChannels = spec.outChannels * classes[0] * classes[1];
  return {
    rows,
    columns,
    wide,
    input: identity,
    weight,
    spec: {
      ...spec,
      inChannels: wideChannels,
      outChannels: spec.inChannels,
      kernelSize: [rows.taps, columns.taps],
      stride: [1, 1],
      padding: [crop[0], crop[1], crop[0], crop[1]],
      outputPadding: [0, 0],
      outputSize: undefined,
      dilation: [rows.inputStep, columns.inputStep],
      weightLayout: 'IOHW',
      activation: 'none',
      bias: false,
      dtype: 'float32',
    },
    wideShape: inOrder(spec.layout, { N: input.batch, C: wideChannels, H: rows.wide, W: columns.wide }),
    weightSteps: [weights.h, weights.w, ins * weights.i, weights.i, weights.o],
  };
}

/** How many elements a pick has. */
export const pickedElements = ({ batch, groups, classes, channels, inner, extent }: Pick): number =>
  batch * groups * classes[0] * classes[1] * channels * inner * extent[0] * extent[1];

/** How many texels of four channels a pick has. */
export const pickedTexels = (pick: Pick): number => pickedElements({ ...pick, channels: Math.ceil(pick.channels / 4) });

/** What the gradients are computed from. `mask` is the forward call's output if it applied a ReLU. */
export interface Operands<Tensor> {
  readonly gradOutput: Tensor;
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly mask: Tensor | undefined;
}

export interface Gradients<Tensor> {
  readonly gradInput: Tensor;
  readonly gradWeight: Tensor;
  readonly gradBias: Tensor;
}

/** A backward call's shapes. */
export interface GradientShapes {
  readonly input: InputExtents;
  readonly output: Size;
  readonly inputShape: number[];
  readonly outputShape: number[];
}
