/** Options and shapes are checked here, once, and become a frozen `Spec`; what is behind relies on it. */
import { has, invalid, shown } from './invalid.ts';
import { fullLength } from './geometry.ts';
import { byAxis, inOrder } from './layouts.ts';
import {
  ACTIVATIONS,
  type Activation,
  type Call,
  type ConvTranspose2dOptions,
  type Device,
  type DType,
  type LayerOptions,
  type Layout,
  type WeightLayout,
} from './types.ts';

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
const DEVICES = "'cpu', a GPUDevice (await requestDevice() gives either), or left out";

function isInteger(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= LARGEST;
}

export function integer(name: string, value: unknown, least: number): number {
  if (isInteger(value, least)) return value;
  throw invalid(name, value, `it must be an integer from ${least} to ${LARGEST}`);
}

/** A copy of a list of so many integers; undefined of anything else. */
function integers(value: unknown, count: number, least: number): number[] | undefined {
  if (!Array.isArray(value) || value.length !== count) return undefined;
  const list = Array.from({ length: count }, (_, at) => (value as unknown[])[at]);
  return list.every((one) => isInteger(one, least)) ? list : undefined;
}

export function pair(name: string, value: unknown, least: number): Size {
  const [height, width] = isInteger(value, least) ? [value, value] : (integers(value, 2, least) ?? []);
  if (height !== undefined && width !== undefined) return [height, width];
  throw invalid(name, value, `it must be an integer from ${least} to ${LARGEST}, or two of them: [height, width]`);
}

function sides(name: string, value: unknown): Spec['padding'] {
  if (Array.isArray(value) && value.length === 4) {
    const list = integers(value, 4, -LARGEST);
    if (list !== undefined) return list as [number, number, number, number];
    throw invalid(name, value, `four numbers [top, left, bottom, right] must be integers within ±${LARGEST}`);
  }
  if (typeof value === 'string' || (Array.isArray(value) && value.length !== 2)) {
    const forms = 'it must be one number, [height, width] or [top, left, bottom, right]';
    const words = "; 'same' and the like: see webgpu-conv-transpose2d/frameworks";
    throw invalid(name, value, typeof value === 'string' ? forms + words : forms);
  }
  const both = pair(name, value, 0);
  return [...both, ...both];
}

export function oneOf<const T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw invalid(name, value, `it must be one of ${allowed.map((choice) => shown(choice)).join(', ')}`);
}

export function ofType(name: string, value: unknown, [type, rule]: readonly [type: string, rule: string]): unknown {
  if (typeof value === type && !(type === 'number' && !Number.isFinite(value))) return value;
  throw invalid(name, value, `it must be ${rule}`);
}

function deviceOf(name: string, value: unknown): Device {
  if (value === 'cpu' || (has(value, 'createComputePipeline') && has(value, 'queue'))) return value as Device;
  throw invalid(name, value, `it must be ${DEVICES}`);
}

/** How an option is checked, its default, and the check's own argument, such as the values it allows. */
export type Rule = readonly [
  check: (name: string, value: unknown, allowed: never) => unknown,
  otherwise: unknown,
  allowed?: unknown,
];

const LAYER_RULES: Readonly<Record<keyof ConvTranspose2dOptions, Rule>> = {
  stride: [pair, 1, 1],
  padding: [sides, 0],
  outputPadding: [pair, 0, 0],
  outputSize: [pair, undefined, 1],
  groups: [integer, 1, 1],
  dilation: [pair, 1, 1],
  layout: [oneOf, 'NCHW', ['NCHW', 'NHWC']],
  weightLayout: [oneOf, 'IOHW', WEIGHT_LAYOUTS],
  activation: [oneOf, 'none', ACTIVATIONS],
  negativeSlope: [ofType, 0.01, ['number', 'a finite number']],
  device: [deviceOf, undefined],
  verify: [oneOf, 'off', ['off', 'sample', 'always']],
  onMismatch: [ofType, undefined, ['function', 'a function, or left out']],
};
const CONSTRUCTOR_RULES: Readonly<Record<keyof LayerOptions, Rule>> = {
  bias: [ofType, true, ['boolean', 'true or false']],
  dtype: [oneOf, 'float32', ['float32', 'float16']],
  seed: [integer, undefined, 0],
};
const CALL_NAMES: readonly string[] = ['outputSize', 'signal', 'output'] satisfies (keyof Call)[];

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

/** Options as their rules have them, complete. undefined means left out; null does not. */
export function checkedBy<Name extends string>(
  rules: Readonly<Record<Name, Rule>>,
  given: Readonly<Record<string, unknown>>,
): Record<Name, unknown> {
  const checked = Object.entries<Rule>(rules).map(([name, [check, otherwise, allowed]]) => {
    const { [name]: value = otherwise } = given;
    return [name, value === undefined ? undefined : check(name, value, allowed as never)];
  });
  return Object.fromEntries(checked) as Record<Name, unknown>;
}

/** The options of a layer that are not part of its spec: they do not change what it computes. */
interface LayerSettings {
  readonly device: Device | undefined;
  readonly seed: number | undefined;
  readonly verify: NonNullable<ConvTranspose2dOptions['verify']>;
  readonly onMismatch: ConvTranspose2dOptions['onMismatch'];
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
): LayerSettings & { spec: Spec } {
  const rules = { ...LAYER_RULES, ...CONSTRUCTOR_RULES };
  const given = optionsOf(options, Object.keys(rules));
  const { device, seed, verify, onMismatch, ...rest } = checkedBy(rules, given) as LayerSettings &
    Omit<Spec, 'inChannels' | 'outChannels' | 'kernelSize'>;
  const spec: Spec = {
    inChannels: integer('inChannels', inChannels, 1),
    outChannels: integer('outChannels', outChannels, 1),
    kernelSize: pair('kernelSize', kernelSize, 1),
    ...rest,
  };
  const { groups, stride, dilation, outputPadding } = spec;
  for (const channels of ['inChannels', 'outChannels'] as const) {
    if (spec[channels] % groups !== 0) throw invalid('groups', groups, `it must divide ${channels}, ${spec[channels]}`);
  }
  const isTooLarge = (axis: 0 | 1): boolean => outputPadding[axis] >= Math.max(stride[axis], dilation[axis]);
  if (spec.outputSize === undefined && (isTooLarge(0) || isTooLarge(1))) {
    const sizes = `stride is ${shown(stride)}, dilation ${shown(dilation)}`;
    const rule = `it must be smaller than stride or dilation on each axis: ${sizes}`;
    throw invalid('outputPadding', given['outputPadding'], rule);
  }
  return { spec: Object.freeze(spec), device, seed, verify, onMismatch };
}

/** Splits the options of a function, which are a layer's and a call's together; `more` are other names that it knows. */
export function splitCall(
  options: unknown,
  more: readonly string[] = [],
): { layer: Record<string, unknown>; call: Call } {
  const names = Object.keys(LAYER_RULES);
  const given = optionsOf(options, [...names, 'signal', 'output', ...more]);
  const { signal, output } = given;
  // Read by name instead of spread, so that inherited properties count, as they do for a layer.
  const layer = Object.fromEntries(names.map((name) => [name, given[name]]));
  return { layer, call: checkCall({ signal, output }) };
}

/** Checks a signal by its methods: one from another realm, such as a frame, is not `instanceof AbortSignal`. */
export function signalOf(name: string, value: unknown): AbortSignal {
  if (has(value, 'throwIfAborted') && has(value, 'addEventListener')) return value as AbortSignal;
  throw invalid(name, value, 'it must be an AbortSignal, or left out');
}

/** Checks the options of a call, except for tensors. */
export function checkCall(call: unknown): Call {
  if (call === undefined) return {};
  const { outputSize, signal, output }: Call = optionsOf(call, CALL_NAMES, 'call');
  if (signal !== undefined) signalOf('signal', signal);
  // A copy, if it is valid: the caller's may change during the call.
  return { outputSize: (integers(outputSize, 2, 1) as [number, number] | undefined) ?? outputSize, signal, output };
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
export function checkInputShape({ layout, inChannels }: Spec, shape: unknown): InputExtents {
  const dims = Array.from(layout).slice(1).join(', ');
  const rule = `it must be (N, ${dims}) or (${dims})`;
  if (!Array.isArray(shape) || (shape.length !== 3 && shape.length !== 4)) throw invalid('input shape', shape, rule);
  const batched = shape.length === 4;
  const extents = integers(batched ? shape : [1, ...(shape as unknown[])], 4, 0);
  if (extents === undefined || extents.includes(0, 1)) {
    throw invalid('input shape', shape, `${rule}, integers of at least 1 (N may be 0)`);
  }
  const { N, C, H, W } = byAxis(layout, extents);
  if (C !== inChannels) {
    const other = layout === 'NCHW' ? 'NHWC' : 'NCHW';
    const hint = byAxis(other, extents).C === inChannels ? `; or is its layout '${other}'?` : '';
    const said = `${inChannels} channels, as the weight has, and it has ${C}`;
    throw invalid('input shape', shape, `${rule} with ${said}${hint}`);
  }
  return { batch: N, batched, height: H, width: W };
}

/** The output's (height, width), by PyTorch's rule; `asked` is the call's own outputSize. */
export function outputExtents(spec: Spec, input: InputExtents, asked: unknown): Size {
  const { kernelSize, stride, dilation, padding, outputPadding } = spec;
  const outputSize = asked === undefined ? spec.outputSize : pair('outputSize', asked, 1);
  const both = (of: (axis: 0 | 1) => number): Size => [of(0), of(1)];
  const inputSize = [input.height, input.width] as const;
  const full = both((axis) => fullLength(inputSize[axis], kernelSize[axis], stride[axis], dilation[axis]));
  if (Math.max(...full) > LARGEST) {
    const rule = `(input − 1)·stride + dilation·(kernel − 1) + 1 must not exceed ${LARGEST}`;
    throw invalid('full output size', full, rule);
  }
  const least = both((axis) => full[axis] - padding[axis] - padding[axis + 2]!);
  const most = both((axis) => least[axis] + stride[axis] - 1);
  const size = outputSize ?? both((axis) => least[axis] + outputPadding[axis]);
  for (const axis of [0, 1] as const) {
    if (outputSize !== undefined && (size[axis] < least[axis] || size[axis] > most[axis])) {
      throw invalid('outputSize', size, `for this input it must be from ${shown(least)} to ${shown(most)}`);
    }
    if (size[axis] < 1 || size[axis] > LARGEST) {
      const sum = `the full result is ${shown(full)}, padding ${shown(padding)} is cropped off, outputPadding ${shown(outputPadding)} added`;
      throw invalid('output size', size, `each must be from 1 to ${LARGEST}: ${sum}`);
    }
  }
  return size;
}

/** A shape in the layer's layout and the input's rank. */
export function layoutShape(spec: Spec, input: InputExtents, channels: number, [height, width]: Size): number[] {
  const shape = inOrder(spec.layout, { N: input.batch, C: channels, H: height, W: width });
  return input.batched ? shape : shape.slice(1);
}

/** The output's shape, for an input's. */
export function shapeOfOutput(spec: Spec, inputShape: unknown, outputSize: unknown): number[] {
  const input = checkInputShape(spec, inputShape);
  return layoutShape(spec, input, spec.outChannels, outputExtents(spec, input, outputSize));
}

/** Channel counts and kernel size, read off a weight's shape. */
export function weightExtents(
  shape: unknown,
  layout: unknown,
  groups: unknown,
): { inChannels: number; outChannels: number; kernelSize: Size } {
  const weightLayout = oneOf('weightLayout', layout === undefined ? 'IOHW' : layout, WEIGHT_LAYOUTS);
  const extents = integers(shape, 4, 1);
  if (extents === undefined) {
    const order = Array.from(weightLayout).join(', ');
    const rule = `it must be (${order}), integers of at least 1, where O = output channels of one group`;
    throw invalid('weight shape', shape, rule);
  }
  const { I, O, H, W } = byAxis(weightLayout, extents);
  const divisor = groups === undefined ? 1 : integer('groups', groups, 1);
  return { inChannels: I, outChannels: integer('weight channels × groups', O * divisor, 1), kernelSize: [H, W] };
}
