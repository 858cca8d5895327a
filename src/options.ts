/** The door: options and shapes are checked here, once, and leave as a frozen `Spec`. */
import { invalid, shown } from './errors.ts';
import { fullLength } from './geometry.ts';
import type { Activation, Call, ConvTranspose2dOptions, Device, DType, Layout, WeightLayout } from './types.ts';

/** (height, width) */
export type Size = readonly [height: number, width: number];

/** A layer's parameters, checked and complete. */
export interface Spec {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Size;
  readonly stride: Size;
  /** Top, left, bottom, right. */
  readonly padding: readonly [number, number, number, number];
  readonly outputPadding: Size;
  readonly outputSize: Size | undefined;
  readonly groups: number;
  readonly dilation: Size;
  readonly layout: Layout;
  readonly weightLayout: WeightLayout;
  readonly activation: Activation;
  readonly negativeSlope: number;
  readonly bias: boolean;
  readonly dtype: DType;
}

const LARGEST = 2 ** 31 - 1;
const WEIGHT_LAYOUTS = ['IOHW', 'HWOI', 'OHWI'] as const;
/** In the order of the shaders' ACTIVATION, and of assembly/activation.ts. */
export const ACTIVATIONS: readonly Activation[] = [
  'none',
  'relu',
  'relu6',
  'leaky-relu',
  'sigmoid',
  'tanh',
  'gelu',
  'silu',
];
const DEVICES = "'cpu', a GPUDevice (await requestDevice() gives either), or left out";

const layerOptionNames = [
  'stride',
  'padding',
  'outputPadding',
  'outputSize',
  'groups',
  'dilation',
  'layout',
  'weightLayout',
  'activation',
  'negativeSlope',
  'device',
  'verify',
  'onMismatch',
] as const satisfies (keyof ConvTranspose2dOptions)[];
const constructorNames: readonly string[] = [...layerOptionNames, 'bias', 'dtype', 'seed'];
const functionNames: readonly string[] = [...layerOptionNames, 'signal', 'output'];
const callNames: readonly string[] = ['outputSize', 'signal', 'output'] satisfies (keyof Call)[];

function isInteger(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= LARGEST;
}

export function integer(name: string, value: unknown, least: number): number {
  if (isInteger(value, least)) return value;
  throw invalid(name, value, `it must be an integer from ${least} to ${LARGEST}`);
}

export function pair(name: string, value: unknown, least: number): Size {
  if (isInteger(value, least)) return [value, value];
  if (Array.isArray(value) && value.length === 2) {
    const [height, width] = value as unknown[];
    if (isInteger(height, least) && isInteger(width, least)) return [height, width];
  }
  throw invalid(name, value, `it must be an integer from ${least} to ${LARGEST}, or two of them: [height, width]`);
}

function sides(value: unknown): Spec['padding'] {
  if (Array.isArray(value) && value.length === 4) {
    const [top, left, bottom, right] = value as unknown[];
    const least = -LARGEST;
    if (isInteger(top, least) && isInteger(left, least) && isInteger(bottom, least) && isInteger(right, least)) {
      return [top, left, bottom, right];
    }
    throw invalid('padding', value, `four numbers [top, left, bottom, right] must be integers within ±${LARGEST}`);
  }
  if (typeof value === 'string' || (Array.isArray(value) && value.length !== 2)) {
    const forms = 'it must be one number, [height, width] or [top, left, bottom, right]';
    const words = "; 'same' and the like: see webgpu-conv-transpose2d/frameworks";
    throw invalid('padding', value, typeof value === 'string' ? forms + words : forms);
  }
  const [height, width] = pair('padding', value, 0);
  return [height, width, height, width];
}

export function oneOf<const T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw invalid(name, value, `it must be one of ${allowed.map((choice) => shown(choice)).join(', ')}`);
}

/** A name without what differs between languages and frameworks: output_padding, outputPadding; strides, stride. */
const bare = (name: string): string => name.replaceAll('_', '').toLowerCase().replace(/s$/, '');

/** Checks that a value is left out, or an object of these names alone. */
export function optionsOf(value: unknown, known: readonly string[], what = 'options'): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(what, value, `it must be an object of any of ${known.join(', ')}`);
  }
  const given = value as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const meant = known.find((other) => bare(other) === bare(name));
    const question = meant === undefined ? '' : `did you mean ${meant}? `;
    throw invalid(`option ${shown(name)}`, given[name], `${question}known are ${known.join(', ')}`);
  }
  return given;
}

export function checkDevice(value: unknown): Device | undefined {
  if (value === undefined || value === 'cpu') return value;
  if (typeof value === 'object' && value !== null && 'createComputePipeline' in value && 'queue' in value) {
    return value as GPUDevice;
  }
  throw invalid('device', value, `it must be ${DEVICES}`);
}

/**
 * Checks a layer's parameters.
 * @throws ConvTranspose2dError INVALID_ARGUMENT, naming the argument, its value and the rule
 */
export function resolveOptions(
  inChannels: unknown,
  outChannels: unknown,
  kernelSize: unknown,
  options: unknown,
): {
  spec: Spec;
  device: Device | undefined;
  seed: number | undefined;
  verify: NonNullable<ConvTranspose2dOptions['verify']>;
  onMismatch: ConvTranspose2dOptions['onMismatch'];
} {
  const given = optionsOf(options, constructorNames);
  // undefined means left out; null does not.
  const {
    stride = 1,
    padding = 0,
    outputPadding = 0,
    outputSize,
    groups = 1,
    dilation = 1,
    layout = 'NCHW',
    weightLayout = 'IOHW',
    activation = 'none',
    negativeSlope = 0.01,
    bias = true,
    dtype = 'float32',
    seed,
    verify = 'off',
    onMismatch,
  } = given;
  const device = checkDevice(given['device']);
  if (typeof negativeSlope !== 'number' || !Number.isFinite(negativeSlope)) {
    throw invalid('negativeSlope', negativeSlope, 'it must be a finite number');
  }
  if (typeof bias !== 'boolean') throw invalid('bias', bias, 'it must be true or false');

  const spec: Spec = {
    inChannels: integer('inChannels', inChannels, 1),
    outChannels: integer('outChannels', outChannels, 1),
    kernelSize: pair('kernelSize', kernelSize, 1),
    stride: pair('stride', stride, 1),
    padding: sides(padding),
    outputPadding: pair('outputPadding', outputPadding, 0),
    outputSize: outputSize === undefined ? undefined : pair('outputSize', outputSize, 1),
    groups: integer('groups', groups, 1),
    dilation: pair('dilation', dilation, 1),
    layout: oneOf('layout', layout, ['NCHW', 'NHWC']),
    weightLayout: oneOf('weightLayout', weightLayout, WEIGHT_LAYOUTS),
    activation: oneOf('activation', activation, ACTIVATIONS),
    negativeSlope,
    bias,
    dtype: oneOf('dtype', dtype, ['float32', 'float16']),
  };
  for (const channels of ['inChannels', 'outChannels'] as const) {
    if (spec[channels] % spec.groups !== 0)
      throw invalid('groups', groups, `it must divide ${channels}, ${spec[channels]}`);
  }
  for (const axis of [0, 1] as const) {
    const allowed = Math.max(spec.stride[axis], spec.dilation[axis]);
    if (spec.outputSize === undefined && spec.outputPadding[axis] >= allowed) {
      const sizes = `stride is ${shown(spec.stride)}, dilation ${shown(spec.dilation)}`;
      throw invalid(
        'outputPadding',
        outputPadding,
        `it must be smaller than stride or dilation on each axis: ${sizes}`,
      );
    }
  }
  if (onMismatch !== undefined && typeof onMismatch !== 'function') {
    throw invalid('onMismatch', onMismatch, 'it must be a function, or left out');
  }
  return {
    spec: Object.freeze(spec),
    device,
    seed: seed === undefined ? undefined : integer('seed', seed, 0),
    verify: oneOf('verify', verify, ['off', 'sample', 'always']),
    onMismatch: onMismatch as ConvTranspose2dOptions['onMismatch'],
  };
}

/** Splits a call's own words off a function's options: `{ …layer options, signal, output }`, and what else it knows. */
export function splitCall(
  options: unknown,
  more: readonly string[] = [],
): { layer: Record<string, unknown>; call: Call } {
  const given = optionsOf(options, [...functionNames, ...more]);
  const { signal, output } = given;
  // By name, so that inherited options count, as they do for a layer.
  const layer = Object.fromEntries(layerOptionNames.map((name) => [name, given[name]]));
  return { layer, call: checkCall({ signal, output }) };
}

/** Checks what a call says, tensors aside. */
export function checkCall(call: unknown): Call {
  if (call === undefined) return {};
  const given = optionsOf(call, callNames, 'call');
  const { signal } = given;
  if (signal !== undefined && !isSignal(signal)) {
    throw invalid('signal', signal, 'it must be an AbortSignal, or left out');
  }
  return given;
}

/** Of this page or of another. */
function isSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { throwIfAborted, addEventListener } = value as Partial<Record<string, unknown>>;
  return typeof throwIfAborted === 'function' && typeof addEventListener === 'function';
}

/** An input's extents, whatever the layout. */
export interface InputExtents {
  readonly batch: number;
  readonly batched: boolean;
  readonly height: number;
  readonly width: number;
}

/**
 * Checks a tensor's shape: 4 extents, or 3 for a single image.
 * A zero batch is legal, every other extent is at least 1.
 */
export function checkInputShape(spec: Spec, shape: unknown): InputExtents {
  const dims = spec.layout === 'NCHW' ? 'C, H, W' : 'H, W, C';
  const rule = `it must be (N, ${dims}) or (${dims})`;
  if (!Array.isArray(shape) || (shape.length !== 3 && shape.length !== 4)) throw invalid('input shape', shape, rule);
  const batched = shape.length === 4;
  const [n, a, b, c] = (batched ? shape : [1, ...(shape as unknown[])]) as unknown[];
  if (!isInteger(n, 0) || !isInteger(a, 1) || !isInteger(b, 1) || !isInteger(c, 1)) {
    throw invalid('input shape', shape, `${rule}, integers of at least 1 (N may be 0)`);
  }
  const [channels, height, width] = spec.layout === 'NCHW' ? [a, b, c] : [c, a, b];
  if (channels !== spec.inChannels) {
    const [other, there] = spec.layout === 'NCHW' ? ['NHWC', c] : ['NCHW', a];
    const hint = there === spec.inChannels ? `; or is its layout '${other}'?` : '';
    const has = `${spec.inChannels} channels, as the weight has, and it has ${channels}`;
    throw invalid('input shape', shape, `${rule} with ${has}${hint}`);
  }
  return { batch: n, batched, height, width };
}

/** The output's (height, width), by PyTorch's rule; `asked` is the call's own outputSize. */
export function outputExtents(spec: Spec, input: InputExtents, asked: unknown): Size {
  const outputSize = asked === undefined ? spec.outputSize : pair('outputSize', asked, 1);
  const [top, left, bottom, right] = spec.padding;
  const full: Size = [
    fullLength(input.height, spec.kernelSize[0], spec.stride[0], spec.dilation[0]),
    fullLength(input.width, spec.kernelSize[1], spec.stride[1], spec.dilation[1]),
  ];
  if (full[0] > LARGEST || full[1] > LARGEST) {
    throw invalid(
      'full output size',
      full,
      `(input − 1)·stride + dilation·(kernel − 1) + 1 must not exceed ${LARGEST}`,
    );
  }
  const least: Size = [full[0] - top - bottom, full[1] - left - right];
  const size: Size = outputSize ?? [least[0] + spec.outputPadding[0], least[1] + spec.outputPadding[1]];
  for (const axis of [0, 1] as const) {
    const [min, max] = [least[axis], least[axis] + spec.stride[axis] - 1];
    if (outputSize !== undefined && (size[axis] < min || size[axis] > max)) {
      const [from, to] = [shown(least), shown([least[0] + spec.stride[0] - 1, least[1] + spec.stride[1] - 1])];
      throw invalid('outputSize', outputSize, `for this input it must be from ${from} to ${to}`);
    }
    if (size[axis] < 1 || size[axis] > LARGEST) {
      throw invalid(
        'output size',
        size,
        `each must be from 1 to ${LARGEST}: the full result is ${shown(full)}, padding ${shown(spec.padding)} is cropped off, outputPadding ${shown(spec.outputPadding)} added`,
      );
    }
  }
  return size;
}

/** A shape in the layer's layout and the input's rank. */
export function layoutShape(spec: Spec, input: InputExtents, channels: number, [height, width]: Size): number[] {
  const image = spec.layout === 'NCHW' ? [channels, height, width] : [height, width, channels];
  return input.batched ? [input.batch, ...image] : image;
}

/** The weight's shape in the layer's weight layout. */
export function weightShape({ weightLayout, inChannels, outChannels, groups, kernelSize: [kh, kw] }: Spec): number[] {
  const outs = outChannels / groups;
  if (weightLayout === 'IOHW') return [inChannels, outs, kh, kw];
  return weightLayout === 'HWOI' ? [kh, kw, outs, inChannels] : [outs, kh, kw, inChannels];
}

/** Channel counts and kernel size, read off a weight's shape. */
export function weightExtents(
  shape: unknown,
  layout: unknown,
  groups: unknown,
): { inChannels: number; outChannels: number; kernelSize: Size } {
  const weightLayout = oneOf('weightLayout', layout === undefined ? 'IOHW' : layout, WEIGHT_LAYOUTS);
  const order = { IOHW: '(I, O, H, W)', HWOI: '(H, W, O, I)', OHWI: '(O, H, W, I)' }[weightLayout];
  const rule = `it must be ${order}, integers of at least 1, where O = output channels of one group`;
  if (!Array.isArray(shape) || shape.length !== 4 || !shape.every((extent) => isInteger(extent, 1))) {
    throw invalid('weight shape', shape, rule);
  }
  const [a, b, c, d] = shape as [number, number, number, number];
  const [i, o, h, w] = weightLayout === 'IOHW' ? [a, b, c, d] : weightLayout === 'HWOI' ? [d, c, a, b] : [d, a, b, c];
  const divisor = groups === undefined ? 1 : integer('groups', groups, 1);
  return { inChannels: i, outChannels: integer('weight channels × groups', o * divisor, 1), kernelSize: [h, w] };
}
