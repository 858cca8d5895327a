/**
 * The gradients of a transposed convolution, as index arithmetic.
 *
 * Input i and tap k meet in output o = s·i − p + k·d. With s′ = s/g, d′ = d/g, g = gcd(s, d), a tap is k = κ + s′·j: of class κ
 * below s′, the j-th. The output's gradient y′, picked class by class,
 *
 *     z[κ][v] = y′[s·v + κ·d − p],    0 outside,
 *
 * has o at v = i + j·d′. So both gradients are sums over z with stride 1:
 *
 *     x′[i]  = Σ_{κ, j} z[κ][i + j·d′] · w[κ + s′·j]      a transposed convolution of z, its kernel turned around
 *     w′[k]  = Σ_i      z[κ][i + j·d′] · x[i]
 *
 * The first is planned and run as any forward call is, on the classes as channels.
 */
import { ConvTranspose2dError } from './errors.ts';
import { gcd } from './geometry.ts';
import type { InputExtents, Size, Spec } from './options.ts';
import { weightStrides } from './weight-strides.ts';

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

/** Elements of a tensor picked by tables, as `gradient_operands.wgsl` has it. */
export interface Pick {
  readonly batch: number;
  readonly groups: number;
  readonly classes: Size;
  readonly channels: number;
  readonly inner: number;
  readonly extent: Size;
  /** Elements of the source between neighbours: batch, group, channel, inner channel, row, column. */
  readonly strides: readonly [number, number, number, number, number, number];
  /** [row class][u], then [column class][v]; −1 for none. */
  readonly places: Int32Array;
}

export interface GradientPlan {
  readonly rows: GradientAxis;
  readonly columns: GradientAxis;
  /** z, of the output's gradient. */
  readonly wide: Pick;
  /** The input as it is, in texels. */
  readonly input: Pick;
  /** The weights by class, each kernel turned around. */
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

/** A table of both axes. @throws ConvTranspose2dError UNSUPPORTED */
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

/** Elements between neighbours of an image tensor: batch, channel, row, column. */
function imageStrides({ layout }: Spec, channels: number, [height, width]: Size): [number, number, number, number] {
  return layout === 'NCHW'
    ? [channels * height * width, height * width, width, 1]
    : [channels * height * width, 1, width * channels, channels];
}

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

  const [ob, oc, oh, ow] = imageStrides(spec, spec.outChannels, output);
  const wide: Pick = {
    batch: input.batch,
    groups,
    classes,
    channels: outs,
    inner: 1,
    extent: wideSize,
    strides: [ob, outs * oc, oc, 0, oh, ow],
    places: table(
      axes,
      (axis) => axis.wide,
      (a, _, tapClass, v) => inside(stride[a]! * v + tapClass * dilation[a]! - padding[a]!, output[a]!),
    ),
  };
  const [ib, ic, ih, iw] = imageStrides(spec, spec.inChannels, size);
  const identity: Pick = {
    ...{ batch: input.batch, groups, classes: [1, 1], channels: ins, inner: 1, extent: size },
    strides: [ib, ins * ic, ic, 0, ih, iw],
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
    wideShape:
      spec.layout === 'NCHW' ? [input.batch, wideChannels, ...wideSize] : [input.batch, ...wideSize, wideChannels],
    weightSteps: [weights.h, weights.w, ins * weights.i, weights.i, weights.o],
  };
}

/** Elements that a pick gives. */
export const pickedElements = ({ batch, groups, classes, channels, inner, extent }: Pick): number =>
  batch * groups * classes[0] * classes[1] * channels * inner * extent[0] * extent[1];

/** Texels of four channels that a pick gives. */
export const pickedTexels = (pick: Pick): number => pickedElements({ ...pick, channels: Math.ceil(pick.channels / 4) });

/** What the gradients are of. `mask` is the forward's output where a ReLU was applied. */
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
