/**
 * Gradients as dense work. With a stride s and a dilation d, s′ = s/gcd(s, d) and d′ = d/gcd(s, d), tap k = κ + s′·j of an
 * axis reads the gradient of output s·(i + d′·j) + κ·d − p for input i. So the output's gradient is gathered once into
 * classes of its own,
 *
 *     G[κ][t] = gy[s·t + κ·d − p],   κ < min(s′, K),   t < I + (J − 1)·d′,   J = ⌈K/s′⌉,   0 outside,
 *
 * and both gradients are then without stride and without padding:
 *
 *     gx[i] = Σ G[κ][i + d′·j] · w[κ + s′·j]   over classes, output channels and j,
 *     gw[κ + s′·j] = Σ x[i] · G[κ][i + d′·j]   over images and i.
 *
 * The first is a transposed convolution with stride 1, over the classes as channels and with its kernel turned round: the
 * layer's own kernels compute it.
 */
import { checkInputShape, outputExtents, type InputExtents, type Size, type Spec } from '../options.ts';
import { type Addresses, addressesOf } from '../addresses.ts';

/** One axis of it, with the names above. */
export interface GradientAxis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
  /** How many κ there are. */
  readonly classes: number;
  /** s′ */
  readonly tapStep: number;
  /** d′ */
  readonly step: number;
  /** J */
  readonly window: number;
  /** How many t there are. */
  readonly reach: number;
}

/** What a call's gradients are computed from. */
export interface Lowered {
  readonly extents: InputExtents;
  readonly output: Size;
  readonly rows: GradientAxis;
  readonly columns: GradientAxis;
  /** Channels of one group in G: class row, class column, output channel. */
  readonly channels: number;
  /** The layer that turns G into the input's gradient, and the shape of G. */
  readonly layer: Spec;
  readonly gatheredShape: readonly number[];
  /** Of input, gradient of the output, and G, in the layout. */
  readonly addresses: { readonly input: Addresses; readonly gradOutput: Addresses; readonly gathered: Addresses };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function gradientAxis(spec: Spec, input: number, output: number, axis: 0 | 1): GradientAxis {
  const [stride, dilation, kernel] = [spec.stride[axis], spec.dilation[axis], spec.kernelSize[axis]];
  const g = gcd(stride, dilation);
  const [tapStep, step] = [stride / g, dilation / g];
  const window = Math.ceil(kernel / tapStep);
  return {
    input,
    output,
    kernel,
    stride,
    dilation,
    padding: spec.padding[axis],
    classes: Math.min(tapStep, kernel),
    tapStep,
    step,
    window,
    reach: input + (window - 1) * step,
  };
}

/** @throws ConvTranspose2dError INVALID_ARGUMENT */
export function lowerGradients(spec: Spec, inputShape: unknown, asked: unknown): Lowered {
  const extents = checkInputShape(spec, inputShape);
  const output = outputExtents(spec, extents, asked);
  const rows = gradientAxis(spec, extents.height, output[0], 0);
  const columns = gradientAxis(spec, extents.width, output[1], 1);
  const channels = rows.classes * columns.classes * (spec.outChannels / spec.groups);
  const [top, left] = [(rows.window - 1) * rows.step, (columns.window - 1) * columns.step];
  const layer: Spec = {
    inChannels: spec.groups * channels,
    outChannels: spec.inChannels,
    kernelSize: [rows.window, columns.window],
    stride: [1, 1],
    padding: [top, left, top, left],
    outputPadding: [0, 0],
    outputSize: undefined,
    groups: spec.groups,
    dilation: [rows.step, columns.step],
    layout: spec.layout,
    weightLayout: 'IOHW',
    activation: 'none',
    negativeSlope: 0,
    bias: false,
    dtype: 'float32',
  };
  const reach: Size = [rows.reach, columns.reach];
  const image = spec.layout === 'NCHW' ? [layer.inChannels, ...reach] : [...reach, layer.inChannels];
  return {
    extents,
    output,
    rows,
    columns,
    channels,
    layer,
    gatheredShape: [extents.batch, ...image],
    addresses: {
      input: addressesOf(spec, spec.inChannels, [extents.height, extents.width]),
      gradOutput: addressesOf(spec, spec.outChannels, output),
      gathered: addressesOf(spec, layer.inChannels, reach),
    },
  };
}
